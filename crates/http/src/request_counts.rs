//! `/debug/requests`: who asks and who writes, counted while somebody watches.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

use crate::{encode::push_json_string, peer::Peer};

/// Clients told apart by one watch; further ones are counted together.
const CLIENTS_MAX: usize = 10_000;
/// Watches at once.
pub(crate) const WATCHES_MAX: usize = 16;
/// Under which those beyond [`CLIENTS_MAX`] are counted.
const OTHERS: &str = "others";

/// The watches under way. Costs one load a request while there are none.
#[derive(Debug, Default)]
pub(crate) struct RequestCounts {
    watches: Mutex<Vec<Weak<Watch>>>,
    watching: AtomicUsize,
}

/// Counts from its making to its end.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<BTreeMap<String, Counts>>);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    writes: u64,
    queries: u64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Write,
    Query,
}

impl RequestCounts {
    /// Begins to count; `None` when too many watch already.
    pub(crate) fn watch(&self) -> Option<Arc<Watch>> {
        let mut watches = self.watches.lock();
        watches.retain(|watch| watch.strong_count() > 0);
        if watches.len() >= WATCHES_MAX {
            return None;
        }
        let watch = Arc::new(Watch::default());
        watches.push(Arc::downgrade(&watch));
        self.watching.store(watches.len(), Ordering::Relaxed);
        Some(watch)
    }

    /// Counts a request of `user`, if one is known, at `peer`.
    pub(crate) fn count(&self, user: Option<&str>, peer: Peer, kind: Kind) {
        if self.watching.load(Ordering::Relaxed) == 0 {
            return;
        }
        let client = match user {
            Some(user) => format!("{user}:{peer}"),
            None => peer.to_string(),
        };
        let mut watches = self.watches.lock();
        watches.retain(|watch| watch.upgrade().is_some_and(|watch| watch.count(&client, kind)));
        self.watching.store(watches.len(), Ordering::Relaxed);
    }
}

impl Watch {
    fn count(&self, client: &str, kind: Kind) -> bool {
        let mut clients = self.0.lock();
        let name = if clients.len() < CLIENTS_MAX || clients.contains_key(client) { client } else { OTHERS };
        let counts = clients.entry(name.to_owned()).or_default();
        match kind {
            Kind::Write => counts.writes += 1,
            Kind::Query => counts.queries += 1,
        }
        true
    }

    /// What was counted, as InfluxDB lays it out.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut body = b"{\n".to_vec();
        for (at, (client, counts)) in self.0.lock().iter().enumerate() {
            if at > 0 {
                body.extend_from_slice(b",\n");
            }
            push_json_string(&mut body, client);
            let counts = format!(": {{\"writes\":{},\"queries\":{}}}", counts.writes, counts.queries);
            body.extend_from_slice(counts.as_bytes());
        }
        body.extend_from_slice(b"\n}\n");
        body
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn counts_by_user_and_address_while_watched() {
        let peer = Peer::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let counts = RequestCounts::default();
        counts.count(None, peer, Kind::Write);
        let watch = counts.watch().unwrap();
        assert_eq!(watch.to_json(), b"{\n\n}\n");
        counts.count(None, peer, Kind::Write);
        counts.count(None, peer, Kind::Query);
        counts.count(Some("al\"x"), peer, Kind::Query);
        let text = "{\n\"127.0.0.1\": {\"writes\":1,\"queries\":1},\n\
                    \"al\\\"x:127.0.0.1\": {\"writes\":0,\"queries\":1}\n}\n";
        assert_eq!(String::from_utf8(watch.to_json()).unwrap(), text);
        drop(watch);
        counts.count(None, peer, Kind::Write);
        assert_eq!(counts.watching.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn watches_and_clients_are_bounded() {
        let counts = RequestCounts::default();
        let watches: Vec<_> = std::iter::from_fn(|| counts.watch()).collect();
        assert_eq!(watches.len(), WATCHES_MAX);
        for n in 0..CLIENTS_MAX + 5 {
            let address = Ipv4Addr::from_bits(n as u32);
            counts.count(None, Peer::Address(address.into()), Kind::Query);
        }
        assert_eq!(watches[0].0.lock()[OTHERS], Counts { writes: 0, queries: 5 });
    }
}
