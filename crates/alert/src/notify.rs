//! From alerts to messages: routing and grouping, the durable queues of the channels, Discord's payloads.

pub(crate) mod discord;
pub(crate) mod groups;
pub(crate) mod queue;

use serde::{Deserialize, Serialize};

use crate::{Time, alert::Alert, labels::Labels};

/// An alert in a notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NoticeAlert {
    pub(crate) alert: Alert,
    /// Whether people have not been told of this state yet.
    pub(crate) changed: bool,
}

/// What is to be told to one contact point at one time. Kept on disk until it is delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// The group it is about; notices of one group that wait are merged.
    pub(crate) group: String,
    /// Contact point.
    pub(crate) receiver: String,
    /// Labels that all alerts of the group share by its `group_by`.
    pub(crate) group_labels: Labels,
    pub(crate) created: Time,
    pub(crate) alerts: Vec<NoticeAlert>,
    /// A message about the alerting itself (a broken contact point), instead of alerts.
    pub(crate) note: Option<String>,
}

impl Notice {
    /// A message about the alerting itself.
    pub(crate) fn note(receiver: &str, created: Time, text: String) -> Self {
        Self {
            group: format!("note/{text}"),
            receiver: receiver.to_owned(),
            group_labels: Labels::new(),
            created,
            alerts: Vec::new(),
            note: Some(text),
        }
    }

    pub(crate) fn firing(&self) -> impl Iterator<Item = &NoticeAlert> {
        self.alerts.iter().filter(|entry| !entry.alert.is_resolved())
    }

    pub(crate) fn resolved(&self) -> impl Iterator<Item = &NoticeAlert> {
        self.alerts.iter().filter(|entry| entry.alert.is_resolved())
    }

    /// Takes in a later notice: the later state of each alert counts, and none is lost.
    pub(crate) fn merge(&mut self, later: Self) {
        self.group_labels.retain(|name, value| later.group_labels.get(name) == Some(value));
        for entry in later.alerts {
            match self.alerts.iter_mut().find(|known| known.alert.id == entry.alert.id) {
                Some(known) => {
                    let changed = known.changed || entry.changed;
                    *known = NoticeAlert { changed, ..entry };
                }
                None => self.alerts.push(entry),
            }
        }
        match (&mut self.note, later.note) {
            (Some(note), Some(other)) if !note.contains(&other) => {
                note.push('\n');
                note.push_str(&other);
            }
            (note @ None, other) => *note = other,
            _ => {}
        }
    }

    /// `High CPU: 2 firing, 1 resolved`, for logs.
    pub(crate) fn summary(&self) -> String {
        if self.alerts.is_empty() {
            return self.note.clone().unwrap_or_default();
        }
        let mut titles: Vec<&str> = self.alerts.iter().map(|entry| entry.alert.title.as_str()).collect();
        titles.sort_unstable();
        titles.dedup();
        let name = match titles.as_slice() {
            [title] => (*title).to_owned(),
            several => format!("{} rules", several.len()),
        };
        let counts: Vec<String> = [(self.firing().count(), "firing"), (self.resolved().count(), "resolved")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        format!("{name}: {}", counts.join(", "))
    }
}
