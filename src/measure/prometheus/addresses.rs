//! Which IP addresses a metrics server may have.
//!
//! Flow: an address that is written as a number is checked once, when the provider is opened; a name is resolved for every new
//! connection, and what it resolves to is checked there and then.
//! Guarantees: the IP that was checked is the IP that is connected to, so a name that changes its mind in between gains nothing.
//! Caveats: addresses of pods and Services are ordinary; which of them may be reached is a NetworkPolicy's to say.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::api::AddressKind;

/// Why an IP address is not connected to. It says the kind and no address: whoever reads it may not be its administrator.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressRefused {
    #[error("a loopback address, which spec.allowAddresses does not allow")]
    Loopback,
    #[error("a link-local address, which spec.allowAddresses does not allow")]
    LinkLocal,
    #[error("the metadata service of a cloud, which is never asked")]
    Metadata,
    #[error("an unspecified, multicast or reserved address, at which no server is")]
    Nowhere,
}

/// An ordinary address, or one that the administrator has allowed.
pub fn check(ip: IpAddr, allowed: &[AddressKind]) -> Result<(), AddressRefused> {
    match kind(ip) {
        Some(AddressRefused::Loopback) if allowed.contains(&AddressKind::Loopback) => Ok(()),
        Some(AddressRefused::LinkLocal) if allowed.contains(&AddressKind::LinkLocal) => Ok(()),
        Some(refused) => Err(refused),
        None => Ok(()),
    }
}

/// What a host of a URL is, if it is written as a number.
pub fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Metadata services outside of 169.254.0.0/16: Alibaba, Oracle, Azure; Amazon and Google by IPv6.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

fn kind(ip: IpAddr) -> Option<AddressRefused> {
    match ip {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

fn kind_v4(ip: Ipv4Addr) -> Option<AddressRefused> {
    let [first, second, third, _] = ip.octets();
    match (first, second, third) {
        _ if METADATA_V4.contains(&ip) => Some(AddressRefused::Metadata),
        // Here, besides a cloud's metadata, are the credentials of its containers.
        (169, 254, 169 | 170) => Some(AddressRefused::Metadata),
        (127, ..) => Some(AddressRefused::Loopback),
        (169, 254, _) => Some(AddressRefused::LinkLocal),
        (0 | 224.., ..) => Some(AddressRefused::Nowhere),
        _ => None,
    }
}

fn kind_v6(ip: Ipv6Addr) -> Option<AddressRefused> {
    let segments = ip.segments();
    if METADATA_V6.contains(&ip) {
        return Some(AddressRefused::Metadata);
    }
    if let Some(inside) = inside(ip) {
        return kind_v4(inside);
    }
    match segments[0] {
        _ if ip.is_loopback() => Some(AddressRefused::Loopback),
        _ if ip.is_unspecified() || ip.is_multicast() => Some(AddressRefused::Nowhere),
        0xfe80..=0xfebf => Some(AddressRefused::LinkLocal),
        // Teredo: where it leads is hidden in the address.
        0x2001 if segments[1] == 0 => Some(AddressRefused::Nowhere),
        _ => None,
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, translated (NAT64) or by 6to4.
fn inside(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let of = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0] if ip.is_loopback() || ip.is_unspecified() => None,
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] => of(g, h),
        [0x64, 0xff9b, ..] => of(g, h),
        [0x2002, ..] => of(b, c),
        _ => None,
    }
}

/// Resolves names, and lets through only addresses that may be connected to.
pub struct Guard {
    pub allowed: Vec<AddressKind>,
    pub names: Arc<dyn Resolve>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, allowed) = (self.names.resolve(name), self.allowed.clone());
        Box::pin(async move {
            let (mut good, mut refused) = (Vec::new(), None);
            for address in found.await? {
                match check(address.ip(), &allowed) {
                    Ok(()) => good.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                Some(why) if good.is_empty() => Err(why.into()),
                _ => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

/// Names as the host resolves them.
pub struct HostNames;

impl Resolve for HostNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_by_where_they_lead() {
        use AddressRefused::{LinkLocal, Loopback, Metadata, Nowhere};
        for (text, expected) in [
            ("10.0.0.1", None),
            ("172.16.0.1", None),
            ("192.168.1.1", None),
            ("100.64.0.1", None),
            ("8.8.8.8", None),
            ("126.255.255.255", None),
            ("128.0.0.1", None),
            ("2001:db8::1", None),
            ("fd00::1", None),
            ("64:ff9b::a00:1", None),
            ("2002:a00:1::", None),
            ("::ffff:10.0.0.1", None),
            ("127.0.0.1", Some(Loopback)),
            ("127.255.255.254", Some(Loopback)),
            ("::1", Some(Loopback)),
            ("::ffff:127.0.0.1", Some(Loopback)),
            ("::127.0.0.1", Some(Loopback)),
            ("::ffff:0:127.0.0.1", Some(Loopback)),
            ("64:ff9b::7f00:1", Some(Loopback)),
            ("64:ff9b:1::7f00:1", Some(Loopback)),
            ("2002:7f00:1::", Some(Loopback)),
            ("169.254.0.1", Some(LinkLocal)),
            ("::ffff:169.254.7.7", Some(LinkLocal)),
            ("fe80::1", Some(LinkLocal)),
            ("febf::1", Some(LinkLocal)),
            ("fec0::1", None),
            ("169.254.169.254", Some(Metadata)),
            ("169.254.170.2", Some(Metadata)),
            ("::ffff:169.254.169.254", Some(Metadata)),
            ("64:ff9b::a9fe:a9fe", Some(Metadata)),
            ("2002:a9fe:a9fe::", Some(Metadata)),
            ("100.100.100.200", Some(Metadata)),
            ("192.0.0.192", Some(Metadata)),
            ("168.63.129.16", Some(Metadata)),
            ("fd00:ec2::254", Some(Metadata)),
            ("fd20:ce::254", Some(Metadata)),
            ("0.0.0.0", Some(Nowhere)),
            ("0.1.2.3", Some(Nowhere)),
            ("224.0.0.1", Some(Nowhere)),
            ("240.0.0.1", Some(Nowhere)),
            ("255.255.255.255", Some(Nowhere)),
            ("::", Some(Nowhere)),
            ("ff02::1", Some(Nowhere)),
            ("2001:0:1::1", Some(Nowhere)),
            ("2001:1::1", None),
        ] {
            assert_eq!(kind(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn only_loopback_and_link_local_can_be_allowed() {
        let all = [AddressKind::Loopback, AddressKind::LinkLocal];
        let may = |text: &str, allowed: &[AddressKind]| check(text.parse().unwrap(), allowed).is_ok();
        assert!(may("127.0.0.1", &all[..1]) && may("::1", &all[..1]) && may("::ffff:127.0.0.1", &all[..1]));
        assert!(may("169.254.1.1", &all[1..]) && may("fe80::1", &all[1..]));
        assert!(!may("169.254.1.1", &all[..1]) && !may("127.0.0.1", &all[1..]));
        for never in ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "ff02::1", "255.255.255.255"] {
            assert!(!may(never, &all), "{never}");
        }
    }
}
