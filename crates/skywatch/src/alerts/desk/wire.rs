//! What nodes say to each other about alerts.
//!
//! | call | question | answer |
//! |---|---|---|
//! | `alerts.state` | `known`: which state the asker has; `wait_ms`: for how long the answer may be held back for a newer one | `edition`: which state the node has; `evaluates`; `counted`; `page_bytes`; the body is the page, in JSON, and after it the stored state, if it is newer than `known` |
//!
//! The page and the state are read apart from each other, so that a page of another release is no reason to lose the state.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skywatch_alert::{Edition, Metrics, STATE_BYTES_MAX, StoredState};
use skywatch_console::{AlertState, AlertsSnapshot};

/// Bytes of a page that a node is told. Of one that is larger, the instances that are calm are left out, then all.
const PAGE_BYTES_MAX: usize = 8 << 20;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Question {
    pub(super) known: Edition,
    pub(super) wait_ms: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    /// Of the state that the node has on disk, whether it goes with the answer or not.
    pub(super) edition: Edition,
    evaluates: bool,
    counted: Metrics,
    page_bytes: u64,
}

/// What another node told.
#[derive(Debug)]
pub(crate) struct Told {
    /// Who, as `host:port`.
    pub(super) by: String,
    /// Which state it has.
    pub(super) edition: Edition,
    /// What it shows and counts, if it evaluates.
    pub(super) shown: Option<(AlertsSnapshot, Metrics)>,
    /// Why there is nothing to be shown, in words.
    pub(super) trouble: Option<String>,
    /// Its state, where that is newer than the one it was told of. Nobody has looked at the bytes yet.
    pub(super) state: Option<Vec<u8>>,
}

/// The answer of a node that shows this, if it evaluates, and has that state, to one that knows of `known`.
pub(super) fn answer(
    shown: Option<(AlertsSnapshot, Metrics)>,
    state: Option<StoredState>,
    known: Edition,
) -> (Answer, Bytes) {
    let evaluates = shown.is_some();
    let (page, counted) = shown.unwrap_or_default();
    let mut body = if evaluates { page_within(page, PAGE_BYTES_MAX) } else { Vec::new() };
    let page_bytes = body.len() as u64;
    let edition = state.as_ref().map_or_else(Edition::default, StoredState::edition);
    if let Some(state) = state.filter(|state| state.edition() > known) {
        body.extend_from_slice(&state.into_bytes());
    }
    (Answer { edition, evaluates, counted, page_bytes }, body.into())
}

/// A page in JSON, without the instances for which there is no room; nothing if there is none for the rules.
fn page_within(mut page: AlertsSnapshot, bytes_max: usize) -> Vec<u8> {
    let is_kept: [fn(AlertState) -> bool; 3] = [|_| true, |state| state > AlertState::Normal, |_| false];
    for is_kept in is_kept {
        for rule in &mut page.rules {
            let before = rule.instances.len();
            rule.instances.retain(|instance| is_kept(instance.state));
            page.instances_left_out += (before - rule.instances.len()) as u64;
        }
        // A page is plain data, and can be encoded.
        let bytes = serde_json::to_vec(&page).unwrap_or_default();
        if bytes.len() <= bytes_max {
            return bytes;
        }
    }
    Vec::new()
}

impl Told {
    /// Whether the node evaluates, and so will have more to tell.
    pub(crate) const fn is_of_use(&self) -> bool {
        self.shown.is_some() || self.state.is_some()
    }

    /// Takes an answer apart; an error says why it is none.
    pub(super) fn read(by: String, answer: Answer, body: &Bytes) -> Result<Self, String> {
        let Answer { edition, evaluates, counted, page_bytes } = answer;
        let page_bytes = usize::try_from(page_bytes).unwrap_or(usize::MAX);
        let (Some(page), Some(state)) = (body.get(..page_bytes), body.get(page_bytes..)) else {
            return Err(format!("a page of {page_bytes} bytes in a body of {}", body.len()));
        };
        if page.len() > PAGE_BYTES_MAX || state.len() > STATE_BYTES_MAX {
            return Err(format!("a page of {} bytes and a state of {}", page.len(), state.len()));
        }
        let (shown, trouble) = match (evaluates, page.is_empty()) {
            (false, _) => (None, Some(format!("{by} has the right to evaluate, and does not"))),
            (true, true) => (None, Some(format!("{by} has more rules than it can tell other nodes"))),
            (true, false) => match serde_json::from_slice(page) {
                Ok(page) => (Some((page, counted)), None),
                Err(error) => (None, Some(format!("{by} shows what cannot be read here: {error}"))),
            },
        };
        Ok(Self { by, edition, shown, trouble, state: (!state.is_empty()).then(|| state.to_vec()) })
    }
}

#[cfg(test)]
mod tests {
    use skywatch_console::{AlertInstance, AlertRule};

    use super::*;

    fn page() -> AlertsSnapshot {
        let instance = |name: String, state| AlertInstance {
            labels: vec![("host".to_owned(), name)],
            state,
            value: Some(1.0),
            value_text: String::new(),
            since_ms: None,
            muted: None,
        };
        let calm = (0..100).map(|number| instance(format!("web-{number}"), AlertState::Normal));
        let rule = AlertRule {
            uid: "cpu".to_owned(),
            title: "CPU".to_owned(),
            group: String::new(),
            query: "SELECT usage FROM cpu".to_owned(),
            database: "telegraf".to_owned(),
            condition: "last > 90".to_owned(),
            interval_secs: 10,
            summary: None,
            state: AlertState::Firing,
            since_ms: None,
            evaluated_ms: Some(1),
            last_error: None,
            instances: [instance("db-1".to_owned(), AlertState::Firing)].into_iter().chain(calm).collect(),
        };
        AlertsSnapshot { rules: vec![rule], ..AlertsSnapshot::default() }
    }

    #[test]
    fn of_a_page_too_large_the_calm_instances_are_left_out_first() {
        let size = |page: &AlertsSnapshot| serde_json::to_vec(page).unwrap().len();
        let read = |bytes: Vec<u8>| serde_json::from_slice::<AlertsSnapshot>(&bytes).unwrap();
        let whole = size(&page());
        assert_eq!(read(page_within(page(), whole)), page());
        let shorter = read(page_within(page(), whole - 1));
        assert_eq!((shorter.rules[0].instances.len(), shorter.instances_left_out), (1, 100));
        assert_eq!(shorter.rules[0].instances[0].state, AlertState::Firing);
        let rules_alone = read(page_within(page(), size(&shorter) - 1));
        assert_eq!((rules_alone.rules[0].instances.len(), rules_alone.instances_left_out), (0, 101));
        assert!(page_within(page(), 100).is_empty());
    }

    #[test]
    fn what_is_told_is_read_and_a_page_that_cannot_be_costs_only_itself() {
        let counted = Metrics { instances_firing: 1, ..Metrics::default() };
        let (answer, body) = answer(Some((page(), counted.clone())), None, Edition::default());
        let told = Told::read("d1:8088".into(), answer, &body).unwrap();
        assert_eq!((told.shown, told.trouble, told.state), (Some((page(), counted)), None, None));

        let later = br#"{"rules": [{"uid": 7}]}"#;
        let body: Bytes = [&later[..], b"the state"].concat().into();
        let evaluating = || Answer { evaluates: true, page_bytes: later.len() as u64, ..Answer::default() };
        let told = Told::read("d1:8088".into(), evaluating(), &body).unwrap();
        assert_eq!((told.shown, told.state.as_deref()), (None, Some(&b"the state"[..])));
        assert!(told.trouble.unwrap().contains("cannot be read here"));
        Told::read("d1:8088".into(), evaluating(), &Bytes::from_static(b"short")).unwrap_err();
    }

    #[test]
    fn nodes_of_other_releases_are_understood() {
        let question: Question =
            serde_json::from_str(r#"{"known": {"term": 3}, "compressed": true}"#).unwrap();
        assert_eq!((question.known, question.wait_ms), (Edition { term: 3, number: 0 }, 0));
        let answer: Answer = serde_json::from_str(r#"{"of a later release": [1]}"#).unwrap();
        let told = Told::read("d1:8088".into(), answer, &Bytes::new()).unwrap();
        assert!(told.shown.is_none() && told.state.is_none() && told.edition == Edition::default());
    }
}
