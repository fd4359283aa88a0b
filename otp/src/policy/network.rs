//! Networks of a rule: an address, or a prefix of addresses (RFC 4632, RFC 4291 section 2.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    first: IpAddr,
    /// How many of its leading bits they share.
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadNetwork {
    /// Neither an address nor one with a prefix length.
    NoNetwork,
    /// The prefix is longer than the address.
    TooLong(u8),
    /// The address has bits behind the prefix; this network was meant, or the address alone.
    HostBits(Network),
    /// IPv4 within IPv6: addresses are compared as IPv4.
    Mapped,
}

impl Network {
    /// From `198.51.100.7`, `192.0.2.0/24`, `2001:db8::/32`.
    pub fn parse(text: &str) -> Result<Self, BadNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork::NoNetwork)?;
        if address.to_canonical() != address {
            return Err(BadNetwork::Mapped);
        }
        let longest = longest(address);
        let prefix = match prefix {
            None => longest,
            Some(digits) => length(digits).ok_or(BadNetwork::NoNetwork)?,
        };
        let first = match address {
            _ if prefix > longest => return Err(BadNetwork::TooLong(longest)),
            IpAddr::V4(v4) => {
                let kept = u32::MAX.checked_shl(u32::from(longest.saturating_sub(prefix)));
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & kept.unwrap_or(0)))
            }
            IpAddr::V6(v6) => {
                let kept = u128::MAX.checked_shl(u32::from(longest.saturating_sub(prefix)));
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & kept.unwrap_or(0)))
            }
        };
        let network = Self { first, prefix };
        if first == address {
            Ok(network)
        } else {
            Err(BadNetwork::HostBits(network))
        }
    }

    /// Whether an address is one of its own. IPv4 within IPv6 is IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let differ = match (self.first, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differ >= u32::from(self.prefix)
    }

    /// Whether all its addresses are in one of these, or in several together.
    pub(super) fn is_within(&self, networks: &[Self]) -> bool {
        let around = |other: &Self| other.prefix <= self.prefix && other.contains(self.first);
        let inside = |other: &Self| other.prefix > self.prefix && self.contains(other.first);
        networks.iter().any(around)
            || networks.iter().any(inside)
                && self
                    .halves()
                    .iter()
                    .all(|half| half.is_some_and(|half| half.is_within(networks)))
    }

    /// Its two halves; nothing of a single address.
    fn halves(&self) -> [Option<Self>; 2] {
        let prefix = self.prefix.saturating_add(1);
        if prefix > longest(self.first) {
            return [None, None];
        }
        let rest = u32::from(longest(self.first).saturating_sub(prefix));
        let second = match self.first {
            IpAddr::V4(v4) => {
                let bit = 1_u32.checked_shl(rest).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() | bit))
            }
            IpAddr::V6(v6) => {
                let bit = 1_u128.checked_shl(rest).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() | bit))
            }
        };
        [self.first, second].map(|first| Some(Self { first, prefix }))
    }
}

/// Bits of an address.
const fn longest(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// A prefix length, as people write it: `024` is not one.
fn length(digits: &str) -> Option<u8> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = digits.len() > 1 && digits.starts_with('0');
    digits.parse().ok().filter(|_| plain && !is_padded)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.prefix) {
            (first, prefix) if prefix == longest(first) => first.fmt(f),
            (first, prefix) => write!(f, "{first}/{prefix}"),
        }
    }
}

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNetwork => f.write_str(
                "is no network: write an address, or one with a prefix such as 192.0.2.0/24",
            ),
            Self::TooLong(longest) => write!(f, "has a prefix that is longer than {longest}"),
            Self::HostBits(network) => {
                write!(
                    f,
                    "has bits behind its prefix: write {network}, or the address alone"
                )
            }
            Self::Mapped => f.write_str("is IPv4 within IPv6: write it as IPv4"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    /// An address as a text of bits, most significant first, with its family: another way to say the same.
    fn bits(address: IpAddr) -> String {
        let (family, bytes) = match address {
            IpAddr::V4(v4) => ("4 ", v4.octets().to_vec()),
            IpAddr::V6(v6) => ("6 ", v6.octets().to_vec()),
        };
        let bits = bytes.iter().map(|byte| format!("{byte:08b}"));
        format!("{family}{}", bits.collect::<String>())
    }

    /// What membership comes to over texts of bits.
    fn starts_alike(network: &str, address: IpAddr) -> bool {
        let (first, prefix) = network.split_once('/').unwrap();
        let first = bits(first.parse().unwrap());
        let prefix: usize = prefix.parse().unwrap();
        bits(address).starts_with(&first[..prefix + 2])
    }

    fn v4() -> impl Strategy<Value = IpAddr> {
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
    }
    fn v6() -> impl Strategy<Value = IpAddr> {
        let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
        v6.prop_filter("IPv4 within IPv6", |v6| v6.to_canonical() == *v6)
    }

    /// The network of an address and a prefix, by writing noughts behind the prefix.
    fn around(address: IpAddr, prefix: usize) -> String {
        let kept = &bits(address)[2..][..prefix];
        let width = usize::from(longest(address));
        let whole = u128::from_str_radix(&format!("{kept:0<width$}"), 2).unwrap();
        let first = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(whole.try_into().unwrap())),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(whole)),
        };
        format!("{first}/{prefix}")
    }

    /// An address that shares so many bits with another, and maybe more.
    fn near(address: IpAddr, shared: u32, random: IpAddr) -> IpAddr {
        match (address, random) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let tail = u32::MAX.checked_shr(shared).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(
                    a.to_bits() & !tail | b.to_bits() & tail,
                ))
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let tail = u128::MAX.checked_shr(shared).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(
                    a.to_bits() & !tail | b.to_bits() & tail,
                ))
            }
            (_, other) => other,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn membership_is_that_of_bits(
            (address, random, other) in prop_oneof![(v4(), v4(), v6()), (v6(), v6(), v4())],
            prefix in 0_usize..=128,
            shared in 0_u32..=128,
        ) {
            let prefix = prefix.min(usize::from(longest(address)));
            let text = around(address, prefix);
            prop_assume!(text.split_once('/').unwrap().0.parse::<IpAddr>().unwrap().to_canonical() == text.split_once('/').unwrap().0.parse::<IpAddr>().unwrap());
            let network = network(&text);
            prop_assert!(network.contains(address));
            prop_assert!(!network.contains(other));
            let near = near(address, shared, random);
            if near.to_canonical() == near {
                prop_assert_eq!(network.contains(near), starts_alike(&text, near), "{} {}", text, near);
            }
        }

        #[test]
        fn what_is_shown_is_read_back(address in prop_oneof![v4(), v6()], prefix in 0_usize..=128) {
            let text = around(address, prefix.min(usize::from(longest(address))));
            if let Ok(network) = Network::parse(&text) {
                prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
            }
        }

        #[test]
        fn within_is_what_every_address_says(
            networks in prop::collection::vec((any::<u8>(), 24_usize..=32), 1..6),
            one in (any::<u8>(), 24_usize..=32),
        ) {
            let of = |(last, prefix): (u8, usize)| {
                network(&around(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), prefix))
            };
            let (networks, one): (Vec<_>, _) = (networks.into_iter().map(of).collect(), of(one));
            let addresses = (0..=255).map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
            let mut own = addresses.filter(|address| one.contains(*address));
            let all = own.all(|address| networks.iter().any(|network| network.contains(address)));
            prop_assert_eq!(one.is_within(&networks), all);
        }
    }

    #[test]
    fn ipv4_within_ipv6_is_ipv4() {
        assert!(network("192.0.2.0/24").contains("::ffff:192.0.2.9".parse().unwrap()));
        assert!(!network("::/0").contains("::ffff:192.0.2.9".parse().unwrap()));
        assert_eq!(
            Network::parse("::ffff:192.0.2.0/120"),
            Err(BadNetwork::Mapped)
        );
    }

    #[test]
    fn all_and_one_are_networks() {
        assert!(network("0.0.0.0/0").contains("255.255.255.255".parse().unwrap()));
        assert!(network("::/0").contains("2001:db8::1".parse().unwrap()));
        assert!(network("198.51.100.7").contains("198.51.100.7".parse().unwrap()));
        assert!(!network("198.51.100.7/32").contains("198.51.100.6".parse().unwrap()));
        assert_eq!(network("198.51.100.7/32").to_string(), "198.51.100.7");
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in [
            "",
            "/",
            "192.0.2.0/",
            "/24",
            "192.0.2/24",
            "192.0.2.0/024",
            "192.0.2.0/+4",
            "192.0.2.0/ 24",
            "192.0.2.0/24/24",
            "192.0.2.0/255.255.255.0",
            "192.0.02.0/24",
            "fe80::1%eth0",
            "localhost",
            "192.0.2.0/1000",
        ] {
            assert_eq!(Network::parse(text), Err(BadNetwork::NoNetwork), "{text}");
        }
        let why = |text| Network::parse(text).unwrap_err().to_string();
        assert_eq!(why("192.0.2.0/33"), "has a prefix that is longer than 32");
        assert_eq!(why("::/129"), "has a prefix that is longer than 128");
        assert_eq!(
            why("192.0.2.7/24"),
            "has bits behind its prefix: write 192.0.2.0/24, or the address alone"
        );
        assert_eq!(
            Network::parse("2001:db8::1/32"),
            Err(BadNetwork::HostBits(network("2001:db8::/32")))
        );
    }
}
