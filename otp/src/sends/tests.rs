use super::*;
use proptest::prelude::*;

const NOW: u64 = 1_800_000_000;

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(NOW + secs)
}

fn policy(per_hour: u32, machine_per_hour: u32) -> DeliveryPolicy {
    DeliveryPolicy {
        per_hour,
        machine_per_hour,
        ..DeliveryPolicy::default()
    }
}

/// Asks and, if it may be, sends.
fn send(
    log: &mut SendLog,
    channel: Channel,
    secs: u64,
    policy: &DeliveryPolicy,
) -> Result<(), Wait> {
    log.settle(at(secs));
    log.ask(channel, at(secs), policy)?;
    log.note(channel, at(secs));
    Ok(())
}

#[test]
fn a_channel_waits_for_itself_and_the_hour_for_both() {
    let (policy, mut log) = (policy(3, 1), SendLog::default());
    let mut ask = |channel, secs| send(&mut log, channel, secs, &policy);
    assert_eq!(ask(Channel::Sms, 0), Ok(()));
    assert_eq!(ask(Channel::Sms, 59), Err(Wait::TooSoon(at(60))));
    assert_eq!(ask(Channel::Email, 59), Ok(()));
    assert_eq!(ask(Channel::Sms, 60), Ok(()));
    for channel in Channel::ALL {
        assert_eq!(ask(channel, 3599), Err(Wait::Hour(at(3600))));
    }
    assert_eq!(ask(Channel::Sms, 3600), Ok(()));
    assert_eq!(ask(Channel::Email, 3600), Err(Wait::Hour(at(3659))));
    // Of two waits the longer one is told.
    assert_eq!(ask(Channel::Sms, 3640), Err(Wait::TooSoon(at(3660))));
}

#[test]
fn what_is_more_than_an_hour_past_is_forgotten_and_no_more_is_kept_than_there_is_room_for() {
    let mut log = SendLog::default();
    for n in 0..40 {
        log.note(Channel::Sms, at(n));
        let first = (n + 1).saturating_sub(32);
        assert_eq!(log.noted().first().map(|one| one.at), Some(at(first)));
    }
    log.settle(at(3600 + 38));
    assert_eq!(log.noted().len(), 1);
    log.settle(at(3600 + 39));
    assert_eq!(log.noted(), []);
}

#[test]
fn a_log_from_elsewhere_is_in_order_and_no_longer_than_one_of_ours() {
    let noted = |secs| Noted {
        channel: Channel::Sms,
        at: at(secs),
    };
    assert!(SendLog::from_parts(vec![noted(1), noted(1), noted(2)]).is_some());
    assert!(SendLog::from_parts(vec![noted(2), noted(1)]).is_none());
    assert!(SendLog::from_parts(vec![noted(1); 32]).is_some());
    assert!(SendLog::from_parts(vec![noted(1); 33]).is_none());
}

#[test]
fn where_the_clock_went_back_what_was_sent_counts_as_sent_now() {
    let (policy, mut log) = (policy(2, 1), SendLog::default());
    assert_eq!(send(&mut log, Channel::Sms, 86_400, &policy), Ok(()));
    assert_eq!(send(&mut log, Channel::Email, 86_460, &policy), Ok(()));
    assert!(log.is_ahead(at(86_459)) && !log.is_ahead(at(86_460)));
    log.settle(at(0));
    assert!(!log.is_ahead(at(0)));
    let times: Vec<_> = log.noted().iter().map(|one| one.at).collect();
    assert_eq!(times, [UnixTime::from_secs(NOW - 60), at(0)]);
    let waits = log.ask(Channel::Sms, at(0), &policy);
    assert_eq!(waits, Err(Wait::Hour(at(3540))));
}

#[test]
fn the_machine_counts_by_the_minute_and_an_hour_is_never_shorter_than_one() {
    let policy = policy(1, 3);
    let mut log = MachineLog::default();
    let minute = NOW / 60 * 60;
    let at = |secs| UnixTime::from_secs(minute + secs);
    for secs in [59, 60, 61] {
        log.settle(at(secs));
        assert_eq!(log.ask(&policy), Ok(()));
        log.note(at(secs));
    }
    assert_eq!(log.in_the_last_hour(at(61)), 3);
    // Two of the three are in its second minute.
    log.settle(at(3659));
    assert_eq!(log.ask(&policy), Err(at(3660)));
    log.settle(at(3660));
    assert_eq!(log.ask(&policy), Ok(()));
    log.note(at(3660));
    assert_eq!(log.ask(&policy), Err(at(3720)));
    assert_eq!(log.in_the_last_hour(at(3719)), 3);
    assert_eq!(log.in_the_last_hour(at(3720)), 1);
    assert_eq!(log.in_the_last_hour(at(1_000_000)), 0);
    assert!(log.is_ahead(at(3659)) && !log.is_ahead(at(3660)));
}

#[test]
fn a_machine_whose_clock_went_back_counts_on() {
    let policy = policy(1, 2);
    let mut log = MachineLog::default();
    log.note(at(86_400));
    log.note(at(86_460));
    log.settle(at(0));
    assert_eq!(log.newest(), NOW / 60);
    assert!(matches!(log.ask(&policy), Err(until) if until <= at(3600 + 60)));
    log.settle(at(3540));
    assert!(log.ask(&policy).is_err());
    log.settle(at(3600 + 60));
    assert_eq!(log.ask(&policy), Ok(()));
}

/// A step of a story: how much time passes, how far the clock goes back meanwhile, and who asks.
fn step() -> impl Strategy<Value = (u64, u64, bool)> {
    let passes = prop_oneof![0_u64..10, 20_u64..100, 500_u64..4000];
    let back = prop_oneof![9 => Just(0_u64), 1 => 1_u64..100_000];
    (passes, back, any::<bool>())
}

proptest! {
    /// Told with the time that really passes beside the clock.
    #[test]
    fn however_often_the_clock_goes_back_no_hour_has_more_and_nobody_waits_longer(
        steps in proptest::collection::vec(step(), 1..200),
        per_hour in 1_u32..=30,
        machine_per_hour in 1_u32..40,
    ) {
        let policy = policy(per_hour, machine_per_hour);
        let (mut log, mut machine) = (SendLog::default(), MachineLog::default());
        let (mut real, mut clock) = (0_u64, 100_000_000_u64);
        let mut sent: Vec<(u64, Channel)> = Vec::new();
        for (passes, back, is_sms) in steps {
            real += passes;
            clock = clock + passes - back;
            let channel = if is_sms { Channel::Sms } else { Channel::Email };
            let now = UnixTime::from_secs(clock);
            log.settle(now);
            machine.settle(now);
            let (own, all) = (log.ask(channel, now, &policy), machine.ask(&policy));
            let latest = [
                own.err().map(|wait| match wait {
                    Wait::TooSoon(until) => (until, 60),
                    Wait::Hour(until) => (until, 3600),
                }),
                all.err().map(|until| (until, 3660)),
            ];
            for (until, most) in latest.into_iter().flatten() {
                prop_assert!(now < until && until <= now.plus(Duration::from_secs(most)));
                // Whoever comes then, and nobody in between, is served.
                let (mut log, mut machine) = (log.clone(), machine.clone());
                log.settle(until);
                machine.settle(until);
                let served = if most == 3660 {
                    machine.ask(&policy).is_ok()
                } else {
                    log.ask(channel, until, &policy).is_ok()
                };
                prop_assert!(served);
            }
            if own.is_ok() && all.is_ok() {
                log.note(channel, now);
                machine.note(now);
                sent.push((real, channel));
            }
        }
        for (index, (end, channel)) in sent.iter().enumerate() {
            let within = |span: u64| sent[..=index].iter().filter(move |(at, _)| end - at < span);
            prop_assert!(within(3600).count() <= per_hour.min(machine_per_hour) as usize);
            prop_assert_eq!(within(60).filter(|(_, other)| other == channel).count(), 1);
        }
    }
}
