//! Names of objects: numbers as they are, well-known names by a table of ours, others by `snmptranslate` if it is there.
//!
//! Sources: SNMPv2-MIB (RFC 3418), IF-MIB (RFC 2863), HOST-RESOURCES-MIB (RFC 2790).

use std::process::{Command, Stdio};

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) oid: Vec<u64>,
    /// The name without its module; the numbers themselves if there is none.
    pub(super) name: String,
}

/// Numbers and the names they have.
pub(super) type Names = &'static [(i64, &'static str)];

const IF_STATUS: Names = &[
    (1, "up"),
    (2, "down"),
    (3, "testing"),
    (4, "unknown"),
    (5, "dormant"),
    (6, "notPresent"),
    (7, "lowerLayerDown"),
];
const TRUTH: Names = &[(1, "true"), (2, "false")];
const HR_DEVICE_STATUS: Names =
    &[(1, "unknown"), (2, "running"), (3, "warning"), (4, "testing"), (5, "down")];

/// Well-known objects: module, name, numbers below 1.3.6.1, and the names of its values.
const KNOWN: &[(&str, &str, &[u64], Option<Names>)] = &[
    ("SNMPv2-MIB", "sysDescr", &[2, 1, 1, 1], None),
    ("SNMPv2-MIB", "sysObjectID", &[2, 1, 1, 2], None),
    ("SNMPv2-MIB", "sysUpTime", &[2, 1, 1, 3], None),
    ("SNMPv2-MIB", "sysContact", &[2, 1, 1, 4], None),
    ("SNMPv2-MIB", "sysName", &[2, 1, 1, 5], None),
    ("SNMPv2-MIB", "sysLocation", &[2, 1, 1, 6], None),
    ("SNMPv2-MIB", "sysServices", &[2, 1, 1, 7], None),
    ("IF-MIB", "ifNumber", &[2, 1, 2, 1], None),
    ("IF-MIB", "ifTable", &[2, 1, 2, 2], None),
    ("IF-MIB", "ifIndex", &[2, 1, 2, 2, 1, 1], None),
    ("IF-MIB", "ifDescr", &[2, 1, 2, 2, 1, 2], None),
    ("IF-MIB", "ifType", &[2, 1, 2, 2, 1, 3], None),
    ("IF-MIB", "ifMtu", &[2, 1, 2, 2, 1, 4], None),
    ("IF-MIB", "ifSpeed", &[2, 1, 2, 2, 1, 5], None),
    ("IF-MIB", "ifPhysAddress", &[2, 1, 2, 2, 1, 6], None),
    ("IF-MIB", "ifAdminStatus", &[2, 1, 2, 2, 1, 7], Some(IF_STATUS)),
    ("IF-MIB", "ifOperStatus", &[2, 1, 2, 2, 1, 8], Some(IF_STATUS)),
    ("IF-MIB", "ifLastChange", &[2, 1, 2, 2, 1, 9], None),
    ("IF-MIB", "ifInOctets", &[2, 1, 2, 2, 1, 10], None),
    ("IF-MIB", "ifInUcastPkts", &[2, 1, 2, 2, 1, 11], None),
    ("IF-MIB", "ifInNUcastPkts", &[2, 1, 2, 2, 1, 12], None),
    ("IF-MIB", "ifInDiscards", &[2, 1, 2, 2, 1, 13], None),
    ("IF-MIB", "ifInErrors", &[2, 1, 2, 2, 1, 14], None),
    ("IF-MIB", "ifInUnknownProtos", &[2, 1, 2, 2, 1, 15], None),
    ("IF-MIB", "ifOutOctets", &[2, 1, 2, 2, 1, 16], None),
    ("IF-MIB", "ifOutUcastPkts", &[2, 1, 2, 2, 1, 17], None),
    ("IF-MIB", "ifOutNUcastPkts", &[2, 1, 2, 2, 1, 18], None),
    ("IF-MIB", "ifOutDiscards", &[2, 1, 2, 2, 1, 19], None),
    ("IF-MIB", "ifOutErrors", &[2, 1, 2, 2, 1, 20], None),
    ("IF-MIB", "ifOutQLen", &[2, 1, 2, 2, 1, 21], None),
    ("IF-MIB", "ifSpecific", &[2, 1, 2, 2, 1, 22], None),
    ("IF-MIB", "ifXTable", &[2, 1, 31, 1, 1], None),
    ("IF-MIB", "ifName", &[2, 1, 31, 1, 1, 1, 1], None),
    ("IF-MIB", "ifInMulticastPkts", &[2, 1, 31, 1, 1, 1, 2], None),
    ("IF-MIB", "ifInBroadcastPkts", &[2, 1, 31, 1, 1, 1, 3], None),
    ("IF-MIB", "ifOutMulticastPkts", &[2, 1, 31, 1, 1, 1, 4], None),
    ("IF-MIB", "ifOutBroadcastPkts", &[2, 1, 31, 1, 1, 1, 5], None),
    ("IF-MIB", "ifHCInOctets", &[2, 1, 31, 1, 1, 1, 6], None),
    ("IF-MIB", "ifHCInUcastPkts", &[2, 1, 31, 1, 1, 1, 7], None),
    ("IF-MIB", "ifHCInMulticastPkts", &[2, 1, 31, 1, 1, 1, 8], None),
    ("IF-MIB", "ifHCInBroadcastPkts", &[2, 1, 31, 1, 1, 1, 9], None),
    ("IF-MIB", "ifHCOutOctets", &[2, 1, 31, 1, 1, 1, 10], None),
    ("IF-MIB", "ifHCOutUcastPkts", &[2, 1, 31, 1, 1, 1, 11], None),
    ("IF-MIB", "ifHCOutMulticastPkts", &[2, 1, 31, 1, 1, 1, 12], None),
    ("IF-MIB", "ifHCOutBroadcastPkts", &[2, 1, 31, 1, 1, 1, 13], None),
    ("IF-MIB", "ifLinkUpDownTrapEnable", &[2, 1, 31, 1, 1, 1, 14], Some(&[(1, "enabled"), (2, "disabled")])),
    ("IF-MIB", "ifHighSpeed", &[2, 1, 31, 1, 1, 1, 15], None),
    ("IF-MIB", "ifPromiscuousMode", &[2, 1, 31, 1, 1, 1, 16], Some(TRUTH)),
    ("IF-MIB", "ifConnectorPresent", &[2, 1, 31, 1, 1, 1, 17], Some(TRUTH)),
    ("IF-MIB", "ifAlias", &[2, 1, 31, 1, 1, 1, 18], None),
    ("IF-MIB", "ifCounterDiscontinuityTime", &[2, 1, 31, 1, 1, 1, 19], None),
    ("HOST-RESOURCES-MIB", "hrSystemUptime", &[2, 1, 25, 1, 1], None),
    ("HOST-RESOURCES-MIB", "hrSystemNumUsers", &[2, 1, 25, 1, 5], None),
    ("HOST-RESOURCES-MIB", "hrSystemProcesses", &[2, 1, 25, 1, 6], None),
    ("HOST-RESOURCES-MIB", "hrMemorySize", &[2, 1, 25, 2, 2], None),
    ("HOST-RESOURCES-MIB", "hrStorageTable", &[2, 1, 25, 2, 3], None),
    ("HOST-RESOURCES-MIB", "hrStorageIndex", &[2, 1, 25, 2, 3, 1, 1], None),
    ("HOST-RESOURCES-MIB", "hrStorageType", &[2, 1, 25, 2, 3, 1, 2], None),
    ("HOST-RESOURCES-MIB", "hrStorageDescr", &[2, 1, 25, 2, 3, 1, 3], None),
    ("HOST-RESOURCES-MIB", "hrStorageAllocationUnits", &[2, 1, 25, 2, 3, 1, 4], None),
    ("HOST-RESOURCES-MIB", "hrStorageSize", &[2, 1, 25, 2, 3, 1, 5], None),
    ("HOST-RESOURCES-MIB", "hrStorageUsed", &[2, 1, 25, 2, 3, 1, 6], None),
    ("HOST-RESOURCES-MIB", "hrStorageAllocationFailures", &[2, 1, 25, 2, 3, 1, 7], None),
    ("HOST-RESOURCES-MIB", "hrDeviceStatus", &[2, 1, 25, 3, 2, 1, 5], Some(HR_DEVICE_STATUS)),
    ("HOST-RESOURCES-MIB", "hrProcessorLoad", &[2, 1, 25, 3, 3, 1, 2], None),
];

/// What the numbers of well-known objects begin with: iso.org.dod.internet.
const INTERNET: [u64; 4] = [1, 3, 6, 1];

/// The object of a name such as `.1.3.6.1.2.1.1.3.0`, `IF-MIB::ifDescr` or `sysUpTime.0`.
pub(super) fn resolve(text: &str) -> Result<Object, String> {
    if let Some(oid) = numbers(text) {
        let name = known_name(&oid).unwrap_or_else(|| oid_text(&oid));
        return Ok(Object { oid, name });
    }
    let (module, rest) = text.split_once("::").map_or((None, text), |(module, rest)| (Some(module), rest));
    let (name, suffix) = rest.split_once('.').map_or((rest, None), |(name, suffix)| (name, Some(suffix)));
    let suffix_numbers = match suffix {
        None => Vec::new(),
        Some(suffix) => numbers(suffix).ok_or_else(|| format!("{text:?} ends in no number"))?,
    };
    let known = KNOWN.iter().find(|(own, known, ..)| {
        *known == name && module.is_none_or(|module| module == *own || module == "RFC1213-MIB")
    });
    if let Some((_, known, below, _)) = known {
        let oid = INTERNET.iter().chain(*below).copied().chain(suffix_numbers).collect();
        let name = suffix.map_or_else(|| (*known).to_owned(), |suffix| format!("{known}.{suffix}"));
        return Ok(Object { oid, name });
    }
    let oid = translated(text)?;
    Ok(Object { oid, name: rest.to_owned() })
}

/// The names of an object's values, if they are known here.
pub(super) fn value_names(oid: &[u64]) -> Option<Names> {
    let below = oid.strip_prefix(&INTERNET)?;
    KNOWN.iter().find(|(_, _, known, _)| below.starts_with(known) && below.len() <= known.len() + 1)?.3
}

/// The columns of a well-known table.
pub(super) fn columns(table: &[u64]) -> Vec<Object> {
    let Some(below) = table.strip_prefix(&INTERNET) else { return Vec::new() };
    KNOWN
        .iter()
        // A table holds an entry, and that holds the columns.
        .filter(|(_, _, known, _)| known.len() == below.len() + 2 && known.starts_with(below))
        .map(|(_, name, known, _)| Object {
            oid: INTERNET.iter().chain(*known).copied().collect(),
            name: (*name).to_owned(),
        })
        .collect()
}

/// `.1.3.6`, as devices and their tools write it.
pub(super) fn oid_text(oid: &[u64]) -> String {
    oid.iter().map(|number| format!(".{number}")).collect()
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    text.strip_prefix('.').unwrap_or(text).split('.').map(|part| part.parse().ok()).collect()
}

fn known_name(oid: &[u64]) -> Option<String> {
    let below = oid.strip_prefix(&INTERNET)?;
    let (_, name, known, _) = KNOWN
        .iter()
        .filter(|(_, _, known, _)| below.starts_with(known))
        .max_by_key(|(_, _, known, _)| known.len())?;
    // Deeper inside a table it is no name of this object.
    let rest = &below[known.len()..];
    (rest.len() <= 1).then(|| format!("{name}{}", oid_text(rest)))
}

/// Asks net-snmp's tool, which knows the MIB files of this machine.
fn translated(text: &str) -> Result<Vec<u64>, String> {
    let unknown =
        |why: String| format!("{text:?} is not known here ({why}); write its numbers, as .1.3.6.1.2.1.1.3.0");
    if text.starts_with('-') {
        return Err(unknown("it begins with a dash".to_owned()));
    }
    let output = Command::new("snmptranslate")
        .args(["-On", "-m", "all", "--", text])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| unknown(format!("snmptranslate: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match numbers(said.trim()) {
        Some(oid) if output.status.success() => Ok(oid),
        _ => Err(unknown("snmptranslate does not know it either".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let object = |text: &str| resolve(text).map(|object| (oid_text(&object.oid), object.name));
        let uptime = Ok((".1.3.6.1.2.1.1.3.0".to_owned(), "sysUpTime.0".to_owned()));
        assert_eq!(object("RFC1213-MIB::sysUpTime.0"), uptime);
        assert_eq!(object(".1.3.6.1.2.1.1.3.0"), uptime);
        assert_eq!(object("1.3.6.1.2.1.1.3.0"), uptime);
        assert_eq!(object("IF-MIB::ifDescr"), Ok((".1.3.6.1.2.1.2.2.1.2".to_owned(), "ifDescr".to_owned())));
        let private = ".1.3.6.1.4.1.9.9.1";
        assert_eq!(object(private), Ok((private.to_owned(), private.to_owned())));
        assert!(object("NO-SUCH-MIB::nothing").is_err());
    }

    #[test]
    fn columns_and_value_names() {
        let table = resolve("IF-MIB::ifTable").expect("known").oid;
        let columns = columns(&table);
        assert_eq!(columns.len(), 22);
        assert_eq!(columns[0].name, "ifIndex");
        let status = resolve("ifOperStatus").expect("known").oid;
        assert_eq!(value_names(&status).map(|names| names[0]), Some((1, "up")));
    }
}
