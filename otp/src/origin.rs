//! Where an answer came from, as far as the throttle can trust it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The origin of an attempt (DESIGN, "Throttle").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A remote address: IPv4 whole, IPv6 cut to its /64, IPv4 within IPv6 as IPv4, loopback as 127.0.0.1.
    Address(IpAddr),
    /// Somebody on this machine: the real uid of the process that asks.
    Local(u32),
}

impl Origin {
    /// The origin that an address stands for.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            // Whoever is on this machine may call from any of sixteen million of them.
            loopback if loopback.is_loopback() => Self::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            IpAddr::V4(v4) => Self::Address(IpAddr::V4(v4)),
            IpAddr::V6(v6) => {
                let network = v6.to_bits() & (u128::from(u64::MAX) << 64);
                Self::Address(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(v6)) => write!(f, "{v6}/64"),
            Self::Address(v4) => write!(f, "{v4}"),
            Self::Local(uid) => write!(f, "local:{uid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of_address(text.parse().unwrap())
    }

    #[test]
    fn one_ipv6_network_is_one_origin() {
        assert_eq!(origin("2001:db8:1:2::5"), origin("2001:db8:1:2:ffff::9"));
        assert_ne!(origin("2001:db8:1:2::5"), origin("2001:db8:1:3::5"));
        assert_eq!(origin("2001:db8:1:2::5").to_string(), "2001:db8:1:2::/64");
    }

    #[test]
    fn ipv4_within_ipv6_is_ipv4() {
        assert_eq!(origin("::ffff:198.51.100.7"), origin("198.51.100.7"));
        assert_ne!(origin("198.51.100.7"), origin("198.51.100.8"));
    }

    #[test]
    fn this_machine_is_one_origin() {
        for loopback in ["127.0.0.2", "127.255.255.254", "::1", "::ffff:127.3.2.1"] {
            assert_eq!(origin(loopback), origin("127.0.0.1"), "{loopback}");
        }
        assert_ne!(origin("128.0.0.1"), origin("127.0.0.1"));
        assert_ne!(origin("::2"), origin("127.0.0.1"));
    }
}
