//! `keepalived.json`. Pure.
//!
//! ```text
//! [{"data": {"iname": "VI_1", "state": 2, ...}, "stats": {"advert_sent": 3, ...}}, ...]
//! ```
//!
//! Version 2 of it has the same list in an object, as `vrrp`. A member that is missing or of another type is left out.

use serde_json::Value;

use super::model::{COUNTERS, Instance, Readings, State, VirtualAddress};

/// Adds the instances.
pub(super) fn read(text: &[u8], readings: &mut Readings) -> Result<(), String> {
    let document: Value = serde_json::from_slice(text).map_err(|error| format!("its JSON: {error}"))?;
    let list = match &document {
        Value::Object(members) => members.get("vrrp").and_then(Value::as_array),
        other => other.as_array(),
    };
    let list = list.ok_or("its JSON has no list of instances")?;
    readings.instances.extend(list.iter().filter_map(instance));
    Ok(())
}

/// Whether the text is a whole document, and not the first part of one that is still written.
pub(super) fn is_whole(text: &[u8]) -> bool {
    serde_json::from_slice::<Value>(text).is_ok()
}

fn instance(entry: &Value) -> Option<Instance> {
    let data = entry.get("data")?;
    let number = |key: &str| data.get(key).and_then(Value::as_i64);
    let state = |key: &str| number(key).and_then(State::of_number);
    let text = |key: &str| data.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let addresses = |key: &str, excluded| {
        let list = data.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).filter_map(move |text| VirtualAddress::parse(text, excluded))
    };
    let counters =
        COUNTERS.iter().filter_map(|(name, key, ..)| Some((*name, entry.get("stats")?.get(key)?.as_u64()?)));
    Some(Instance {
        name: text("iname")?.to_owned(),
        // Of an instance with an interface of its own, that one carries the adverts of the other.
        interface: text("ifp_ifname").map(str::to_owned),
        virtual_router_id: number("vrid"),
        version: number("version"),
        group: None,
        state: state("state"),
        wanted_state: state("wantstate"),
        priority: number("base_priority"),
        effective_priority: number("effective_priority"),
        last_transition: data.get("last_transition").and_then(Value::as_f64),
        addresses: addresses("vips", false).chain(addresses("evips", true)).collect(),
        counters: counters.collect(),
    })
}
