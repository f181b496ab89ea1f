//! Embeds and messages whose constructors keep every limit of Discord's.

use serde_json::{Value as Json, json};

use crate::rule::{DiscordSettings, Mentions};

pub(super) const CONTENT_MAX: usize = 2_000;
pub(super) const EMBEDS_MAX: usize = 10;
pub(super) const TITLE_MAX: usize = 256;
pub(super) const DESCRIPTION_MAX: usize = 4_096;
pub(super) const FIELDS_MAX: usize = 25;
pub(super) const FIELD_NAME_MAX: usize = 256;
pub(super) const FIELD_VALUE_MAX: usize = 1_024;
pub(super) const FOOTER_MAX: usize = 2_048;
pub(super) const USERNAME_MAX: usize = 80;
pub(super) const URL_MAX: usize = 2_000;
/// Titles, descriptions, fields and footers of all embeds together.
pub(super) const TOTAL_MAX: usize = 6_000;
/// Discord does not say how it counts; a message stays a little below the sum.
const TOTAL_AIM: usize = 5_800;

const _: () = assert!(DESCRIPTION_MAX + TITLE_MAX + 64 < TOTAL_AIM && TOTAL_AIM <= TOTAL_MAX);

/// Length as Discord may count it at worst: UTF-16 units.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The text within `max` units; what was cut shows as `…`.
pub(super) fn cut(text: &str, max: usize) -> String {
    if units(text) <= max {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut length = 0;
    for c in text.chars() {
        length += c.len_utf16();
        if length > max.saturating_sub(1) {
            break;
        }
        kept.push(c);
    }
    // A backslash left alone at the end would change what follows.
    while kept.ends_with('\\') {
        kept.pop();
    }
    kept.push('…');
    kept
}

/// A text that Discord accepts where it wants one that is not empty.
fn filled(text: &str, max: usize) -> String {
    let text = cut(text.trim(), max);
    if is_blank(&text) { "–".to_owned() } else { text }
}

/// Whether nothing is left once Discord has trimmed it.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{2060}')
    })
}

/// A named value of a card.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    name: String,
    value: String,
    inline: bool,
}

impl Field {
    pub(super) fn new(name: &str, value: &str, inline: bool) -> Self {
        Self { name: filled(name, FIELD_NAME_MAX), value: filled(value, FIELD_VALUE_MAX), inline }
    }
}

/// A card.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Embed {
    title: String,
    description: String,
    fields: Vec<Field>,
    footer: String,
    pub(super) url: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) color: u32,
}

impl Embed {
    pub(super) fn new(color: u32) -> Self {
        Self {
            title: String::new(),
            description: String::new(),
            fields: Vec::new(),
            footer: String::new(),
            url: None,
            timestamp: None,
            color: color & 0xFF_FF_FF,
        }
    }

    pub(super) fn title(&mut self, text: &str) {
        self.title = filled(text, TITLE_MAX);
    }

    pub(super) fn description(&mut self, text: &str) {
        self.description = if is_blank(text) { String::new() } else { cut(text, DESCRIPTION_MAX) };
    }

    pub(super) fn footer(&mut self, text: &str) {
        self.footer = filled(text, FOOTER_MAX);
    }

    /// Adds a field; beyond the limit it is left out, which callers avoid by counting.
    pub(super) fn field(&mut self, field: Field) {
        debug_assert!(self.fields.len() < FIELDS_MAX);
        if self.fields.len() < FIELDS_MAX {
            self.fields.push(field);
        }
    }

    /// What counts towards the sum of a message.
    fn units(&self) -> usize {
        let fields: usize = self.fields.iter().map(|field| units(&field.name) + units(&field.value)).sum();
        units(&self.title) + units(&self.description) + units(&self.footer) + fields
    }

    fn to_json(&self) -> Json {
        let mut out = json!({ "type": "rich", "color": self.color });
        for (key, text) in [("title", &self.title), ("description", &self.description)] {
            if !text.is_empty() {
                out[key] = json!(text);
            }
        }
        if let Some(url) = &self.url {
            out["url"] = json!(url);
        }
        if !self.fields.is_empty() {
            let fields = self.fields.iter();
            out["fields"] = fields
                .map(|field| json!({ "name": field.name, "value": field.value, "inline": field.inline }))
                .collect();
        }
        if !self.footer.is_empty() {
            out["footer"] = json!({ "text": self.footer });
        }
        if let Some(timestamp) = &self.timestamp {
            out["timestamp"] = json!(timestamp);
        }
        out
    }
}

/// Puts embeds into as few messages as hold them, in order. Embeds of one message that share a URL would be merged
/// into one by Discord, so a URL is kept on the first of them alone.
pub(super) fn pack(embeds: Vec<Embed>) -> Vec<Vec<Embed>> {
    let mut messages: Vec<Vec<Embed>> = Vec::new();
    let mut total = 0;
    for mut embed in embeds {
        let size = embed.units();
        debug_assert!(size <= TOTAL_AIM, "{size}");
        match messages.last_mut() {
            Some(message) if message.len() < EMBEDS_MAX && total + size <= TOTAL_AIM => {
                if message.iter().any(|other| other.url == embed.url) {
                    embed.url = None;
                }
                total += size;
                message.push(embed);
            }
            _ => {
                total = size;
                messages.push(vec![embed]);
            }
        }
    }
    messages
}

/// The JSON of a message.
pub(super) fn body(
    content: &str,
    embeds: &[Embed],
    settings: Option<&DiscordSettings>,
    mentions: &Mentions,
) -> Json {
    let mut out = json!({});
    let username = settings.map_or(Some("Skywatch"), |settings| settings.username.as_deref());
    if let Some(name) = username {
        out["username"] = json!(cut(name, USERNAME_MAX));
    }
    if let Some(avatar) = settings.and_then(|settings| settings.avatar_url.as_deref()) {
        out["avatar_url"] = json!(avatar);
    }
    let content = cut(content, CONTENT_MAX);
    if !is_blank(&content) {
        out["content"] = json!(content);
    } else if embeds.is_empty() {
        out["content"] = json!("–");
    }
    if !embeds.is_empty() {
        out["embeds"] = embeds.iter().map(Embed::to_json).collect();
    }
    let parse: Vec<&str> = if mentions.everyone { vec!["everyone"] } else { Vec::new() };
    out["allowed_mentions"] = json!({ "parse": parse, "users": mentions.users, "roles": mentions.roles });
    out
}
