//! Discord's messages: built so that no limit can be broken, and so that no alert is left out.
//!
//! Lengths are counted in UTF-16 units, the strictest way Discord might count. Up to [`CARDS_MAX`] changed alerts
//! get a card each (an embed with value, condition, times and labels); more are listed, one line each, under a
//! heading per rule and state. What does not fit goes into further messages.

mod build;

use self::build::{DESCRIPTION_MAX, Embed, Field, cut, pack, units};
use super::{Notice, NoticeAlert, queue::Part};
use crate::{
    Time,
    alert::{Alert, Kind, value_string},
    labels::{ALERTNAME, FOLDER, Labels, is_hidden},
    rule::{DiscordSettings, Mentions},
    template::{Template, Value},
    time::human_duration,
};

/// Changed alerts of a notice that get a card of their own; beyond, all become lines.
pub(crate) const CARDS_MAX: usize = 10;
/// Length of a line about an alert.
const LINE_MAX: usize = 280;
/// Lengths within a card that together stay below what a message may hold.
const CARD_TEXT_MAX: usize = 1_500;
const CARD_LABELS_MAX: usize = 15;
const LABEL_NAME_MAX: usize = 40;
const LABEL_VALUE_MAX: usize = 100;

const RED: u32 = 0xE5_48_4D;
const ORANGE: u32 = 0xF7_6B_15;
const BLUE: u32 = 0x3E_63_DD;
const YELLOW: u32 = 0xF5_D9_0A;
const GREY: u32 = 0x8B_8D_98;
const GREEN: u32 = 0x30_A4_6C;

/// What messages need beside the notice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// Address of the console for links, without a slash at its end.
    pub(crate) console_url: Option<&'a str>,
    pub(crate) now: Time,
}

/// The messages of a notice, in order; at least one.
pub(crate) fn render(notice: &Notice, settings: &DiscordSettings, context: Context<'_>) -> Vec<Part> {
    let mut embeds = Vec::new();
    let mut texts = Vec::new();
    if let Some(note) = &notice.note {
        embeds.push(note_embed(note, context));
    }
    if !notice.alerts.is_empty() {
        let data =
            (settings.title.is_some() || settings.message.is_some()).then(|| notice_data(notice, context));
        let render = |template: &Option<Template>| {
            let data = data.as_ref()?;
            Some(template.as_ref()?.render_or_say(data, &Default::default()))
        };
        match (render(&settings.title), render(&settings.message)) {
            (title, Some(message)) => {
                let (own_texts, own_embeds) = own_text(notice, settings, title, &message, context);
                texts = own_texts;
                embeds.extend(own_embeds);
            }
            (title, None) => {
                if let Some(title) = title {
                    embeds.push(headline_embed(notice, &title, context));
                }
                embeds.extend(design(notice, context));
            }
        }
    }
    let mentions = (notice.firing().any(|entry| entry.changed)).then(|| settings.mentions.text.clone());
    messages(notice, settings, &mentions.unwrap_or_default(), texts, embeds)
}

/// Skywatch's own design.
fn design(notice: &Notice, context: Context<'_>) -> Vec<Embed> {
    let (mut changed, mut unchanged): (Vec<&NoticeAlert>, Vec<&NoticeAlert>) =
        notice.alerts.iter().partition(|entry| entry.changed);
    for list in [&mut changed, &mut unchanged] {
        list.sort_by_key(|entry| (entry.alert.is_resolved(), entry.alert.kind, entry.alert.starts));
    }
    let mut embeds = Vec::new();
    if changed.len() > CARDS_MAX {
        list_embeds(&changed, "", context, &mut embeds);
    } else {
        embeds.extend(changed.iter().map(|entry| card(&entry.alert, context)));
    }
    // What was told before is repeated in short, so that a message shows the whole incident.
    if changed.is_empty() && unchanged.len() <= CARDS_MAX {
        embeds.extend(unchanged.iter().map(|entry| card(&entry.alert, context)));
    } else {
        list_embeds(&unchanged, "Still ", context, &mut embeds);
    }
    embeds
}

/// How a state looks: icon, word, colour.
fn look(alert: &Alert) -> (&'static str, &'static str, u32) {
    let severity = alert.labels.get("severity").map(|severity| severity.to_lowercase());
    match (alert.is_resolved(), alert.kind, severity.as_deref()) {
        (true, _, _) => ("✅", "Resolved", GREEN),
        (false, Kind::NoData, _) => ("⚪", "No data", GREY),
        (false, Kind::Error, _) => ("⚠️", "Error", YELLOW),
        (false, Kind::Alerting, Some("warning" | "warn" | "minor" | "medium")) => ("🟠", "Firing", ORANGE),
        (false, Kind::Alerting, Some("info" | "information" | "low" | "notice")) => ("🔵", "Firing", BLUE),
        (false, Kind::Alerting, _) => ("🔴", "Firing", RED),
    }
}

/// Labels worth showing: those that machines or the title tell already are left out.
fn shown_labels(alert: &Alert) -> impl Iterator<Item = (&String, &String)> {
    alert.labels.iter().filter(|(name, _)| {
        !is_hidden(name)
            && !matches!(name.as_str(), ALERTNAME | FOLDER | "rulename" | "ref_id" | "datasource_uid")
    })
}

fn card(alert: &Alert, context: Context<'_>) -> Embed {
    let (icon, word, color) = look(alert);
    let mut embed = Embed::new(color);
    embed.title(&format!("{icon} {word}: {}", escape(&alert.title)));
    embed.url = rule_link(alert, context);
    let texts: Vec<&str> = ["summary", "description", "Error"]
        .iter()
        .filter_map(|name| alert.annotations.get(*name))
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect();
    embed.description(&cut(&texts.join("\n"), CARD_TEXT_MAX));
    if !alert.value.is_empty() {
        embed.field(Field::new(
            "Value",
            &format!("**{}**", escape(&cut(&alert.value, LABEL_VALUE_MAX))),
            true,
        ));
    }
    if !alert.condition.is_empty() && alert.kind == Kind::Alerting {
        embed.field(Field::new("Condition", &escape(&cut(&alert.condition, LABEL_VALUE_MAX)), true));
    }
    let starts = alert.starts.seconds();
    match alert.ends {
        None => embed.field(Field::new("Since", &format!("<t:{starts}:t> (<t:{starts}:R>)"), true)),
        Some(ends) => {
            let lasted = human_duration(ends.since(alert.starts));
            embed.field(Field::new(
                "Lasted",
                &format!("{lasted}, from <t:{starts}:t> to <t:{}:t>", ends.seconds()),
                true,
            ));
        }
    }
    if let Some(reason) = &alert.reason {
        embed.field(Field::new("Reason", &escape(&cut(reason_text(reason), LABEL_VALUE_MAX)), true));
    }
    let mut left = 0;
    for (at, (name, value)) in shown_labels(alert).enumerate() {
        if at < CARD_LABELS_MAX {
            embed.field(Field::new(&escape(&cut(name, LABEL_NAME_MAX)), &code(value, LABEL_VALUE_MAX), true));
        } else {
            left += 1;
        }
    }
    if left > 0 {
        embed.field(Field::new("Labels", &format!("… and {left} more"), true));
    }
    embed.footer("Skywatch");
    embed.timestamp = Some(alert.ends.unwrap_or(context.now).to_iso());
    embed
}

/// What a reason means, for people.
fn reason_text(reason: &str) -> &str {
    match reason {
        "MissingSeries" => "its data stopped coming",
        "NoData" => "no data",
        "Paused" => "the rule was paused",
        "Updated" => "the rule was changed",
        "RuleDeleted" => "the rule was removed",
        other => other,
    }
}

fn rule_link(alert: &Alert, context: Context<'_>) -> Option<String> {
    let mut url = reqwest::Url::parse(context.console_url?).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().push("alerts");
    url.query_pairs_mut().append_pair("rule", &alert.rule_uid);
    Some(url.to_string()).filter(|url| units(url) <= build::URL_MAX)
}

/// Lines, grouped by state and rule under headings.
fn list_embeds(entries: &[&NoticeAlert], prefix: &str, context: Context<'_>, out: &mut Vec<Embed>) {
    let mut at = 0;
    while at < entries.len() {
        let first = &entries[at].alert;
        let same = |entry: &&&NoticeAlert| {
            let alert = &entry.alert;
            (alert.is_resolved(), alert.kind, &alert.title) == (first.is_resolved(), first.kind, &first.title)
                && look(alert) == look(first)
        };
        let count = entries[at..].iter().take_while(same).count();
        let (icon, word, color) = look(first);
        let word =
            if prefix.is_empty() { word.to_owned() } else { format!("{prefix}{}", word.to_lowercase()) };
        let times = if count > 1 { format!(" ({count})") } else { String::new() };
        let lines: Vec<String> = entries[at..at + count].iter().map(|entry| line(&entry.alert)).collect();
        for (page, text) in pages(&lines).into_iter().enumerate() {
            let mut embed = Embed::new(color);
            let more = if page > 0 { ", continued" } else { "" };
            // The heading is cut before the count is added, so that the count stays visible.
            embed.title(&format!(
                "{}{times}{more}",
                cut(&format!("{icon} {word}: {}", escape(&first.title)), 200)
            ));
            embed.url = rule_link(first, context);
            embed.description(&text);
            embed.footer("Skywatch");
            embed.timestamp = Some(context.now.to_iso());
            out.push(embed);
        }
        at += count;
    }
}

/// Puts lines together into texts that fit an embed's description.
fn pages(lines: &[String]) -> Vec<String> {
    let mut pages: Vec<String> = Vec::new();
    for line in lines {
        match pages.last_mut() {
            Some(page) if units(page) + 1 + units(line) <= DESCRIPTION_MAX => {
                page.push('\n');
                page.push_str(line);
            }
            _ => pages.push(line.clone()),
        }
    }
    pages
}

/// `web-1 · rack r2: 97.3 % · 5 minutes ago`
fn line(alert: &Alert) -> String {
    let labels: Vec<String> = shown_labels(alert)
        .filter(|(name, _)| *name != "severity")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let labels =
        if labels.is_empty() { "(no labels)".to_owned() } else { code(&labels.join(" "), LINE_MAX - 100) };
    let value = if alert.value.is_empty() {
        String::new()
    } else {
        format!(" **{}**", escape(&cut(&alert.value, 40)))
    };
    let time = match alert.ends {
        None => format!("<t:{}:R>", alert.starts.seconds()),
        Some(ends) => format!("after {}", human_duration(ends.since(alert.starts))),
    };
    format!("• {labels}{value} · {time}")
}

/// The same in plain words, for the fallback.
fn plain_line(alert: &Alert) -> String {
    let (icon, word, _) = look(alert);
    let labels: Vec<String> = shown_labels(alert).map(|(name, value)| format!("{name}={value}")).collect();
    let value = if alert.value.is_empty() { String::new() } else { format!(": {}", alert.value) };
    let title = cut(&alert.title, 80);
    escape(&cut(
        &format!("{icon} {word} {title} {}{value}", labels.join(" ")).replace('\n', " "),
        LINE_MAX / 2,
    ))
}

fn note_embed(note: &str, context: Context<'_>) -> Embed {
    let mut embed = Embed::new(YELLOW);
    embed.title("⚠️ Skywatch cannot deliver alerts");
    embed.description(note);
    embed.footer("Skywatch");
    embed.timestamp = Some(context.now.to_iso());
    embed
}

fn headline_embed(notice: &Notice, title: &str, context: Context<'_>) -> Embed {
    let first = notice.firing().next().or_else(|| notice.resolved().next());
    let mut embed = Embed::new(first.map_or(GREY, |entry| look(&entry.alert).2));
    embed.title(if title.trim().is_empty() { "Skywatch" } else { title });
    embed.url = first.and_then(|entry| rule_link(&entry.alert, context));
    embed
}

/// The title and message that the file asks for. A long message goes on in further messages or embeds.
fn own_text(
    notice: &Notice,
    settings: &DiscordSettings,
    title: Option<String>,
    message: &str,
    context: Context<'_>,
) -> (Vec<String>, Vec<Embed>) {
    let title = title.unwrap_or_else(|| notice.summary());
    let mut head = headline_embed(notice, &title, context);
    let message = message.trim();
    if settings.message_in_embed {
        let mut pieces = split(message, DESCRIPTION_MAX).into_iter();
        head.description(&pieces.next().unwrap_or_default());
        let color = head.color;
        let mut embeds = vec![head];
        for piece in pieces {
            let mut embed = Embed::new(color);
            embed.description(&piece);
            embeds.push(embed);
        }
        (Vec::new(), embeds)
    } else {
        let room = build::CONTENT_MAX - units(&settings.mentions.text).min(500) - 20;
        (split(message, room), vec![head])
    }
}

/// Cuts a text into pieces of at most `max` units, at line ends where there are any.
fn split(text: &str, max: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        if length + units(line) > max && !piece.is_empty() {
            pieces.push(std::mem::take(&mut piece));
            length = 0;
        }
        for c in line.chars() {
            if length + c.len_utf16() > max {
                pieces.push(std::mem::take(&mut piece));
                length = 0;
            }
            piece.push(c);
            length += c.len_utf16();
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}

/// Puts texts and embeds into messages with their fallbacks.
fn messages(
    notice: &Notice,
    settings: &DiscordSettings,
    mentions: &str,
    texts: Vec<String>,
    embeds: Vec<Embed>,
) -> Vec<Part> {
    let mut bodies: Vec<(String, Vec<Embed>)> = Vec::new();
    // The heading embed goes with the last piece of a long text.
    let mut embeds = pack(embeds).into_iter();
    let last = texts.len().saturating_sub(1);
    for (at, text) in texts.into_iter().enumerate() {
        let with = if at == last { embeds.next().unwrap_or_default() } else { Vec::new() };
        bodies.push((text, with));
    }
    bodies.extend(embeds.map(|embeds| (String::new(), embeds)));
    if bodies.is_empty() {
        bodies.push((notice.summary(), Vec::new()));
    }
    let count = bodies.len();
    let fallbacks = fallback_texts(notice, count);
    bodies
        .into_iter()
        .zip(fallbacks)
        .enumerate()
        .map(|(at, ((text, embeds), fallback))| {
            let counter = if count > 1 { format!("({}/{count})", at + 1) } else { String::new() };
            let mentions = if at == 0 { mentions } else { "" };
            let content: Vec<&str> = [mentions, counter.as_str(), text.as_str()]
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .collect();
            Part {
                body: build::body(&content.join(" "), &embeds, Some(settings), &settings.mentions),
                fallback: build::body(&fallback, &[], None, &Mentions::default()),
            }
        })
        .collect()
}

/// Plain texts that together tell of all alerts, one per message.
fn fallback_texts(notice: &Notice, count: usize) -> Vec<String> {
    let per_part = notice.alerts.len().div_ceil(count.max(1)).max(1);
    let mut texts: Vec<String> = notice
        .alerts
        .chunks(per_part)
        .map(|alerts| {
            let mut text = notice.summary();
            text.truncate(text.char_indices().nth(150).map_or(text.len(), |(at, _)| at));
            for (at, entry) in alerts.iter().enumerate() {
                let line = plain_line(&entry.alert);
                if units(&text) + units(&line) + 40 > build::CONTENT_MAX {
                    text.push_str(&format!("\n… and {} more", alerts.len() - at));
                    break;
                }
                text.push('\n');
                text.push_str(&line);
            }
            text
        })
        .collect();
    let note =
        notice.note.as_ref().map_or_else(|| notice.summary(), |note| cut(note, build::CONTENT_MAX - 1));
    texts.resize(count, note);
    texts
}

/// A text in which Discord's markup has no meaning.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '*' | '_' | '~' | '|' | '`' | '<' | '[' | ']') {
            out.push('\\');
        }
        out.push(if c == '\n' || c == '\r' { ' ' } else { c });
    }
    out
}

/// A text as inline code, so that underscores and stars in names stay what they are.
fn code(text: &str, max: usize) -> String {
    let text: String = cut(text, max)
        .chars()
        .map(|c| match c {
            '`' => 'ˋ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    if text.trim().is_empty() { "–".to_owned() } else { format!("`{text}`") }
}

/// What title and message templates may use.
fn notice_data(notice: &Notice, context: Context<'_>) -> Value {
    let visible = |labels: &Labels| {
        Value::map(
            labels
                .iter()
                .filter(|(name, _)| !is_hidden(name))
                .map(|(name, value)| (name.clone(), Value::Text(value.clone()))),
        )
    };
    let alert_data = |alert: &Alert| {
        let values = alert
            .values
            .iter()
            .map(|(name, value)| (name.clone(), value.map_or(Value::Missing, Value::Number)));
        Value::map([
            ("Status", Value::Text(alert.status().to_owned())),
            ("Labels", visible(&alert.labels)),
            ("Annotations", visible(&alert.annotations)),
            ("Values", Value::map(values)),
            ("Value", Value::Text(alert.value.clone())),
            ("ValueString", Value::Text(value_string(&alert.values, &alert.labels))),
            ("StartsAt", Value::moment(alert.starts)),
            ("EndsAt", alert.ends.map_or_else(|| Value::Text(String::new()), Value::moment)),
            ("GeneratorURL", Value::Text(rule_link(alert, context).unwrap_or_default())),
            ("Fingerprint", Value::Text(alert.id.clone())),
            ("RuleUID", Value::Text(alert.rule_uid.clone())),
        ])
    };
    let common = |pick: &dyn Fn(&Alert) -> Labels| {
        let mut all = notice.alerts.iter().map(|entry| pick(&entry.alert));
        let first = all.next().unwrap_or_default();
        all.fold(first, |mut common, labels| {
            common.retain(|name, value| labels.get(name) == Some(value));
            common
        })
    };
    let status = if notice.firing().next().is_some() { "firing" } else { "resolved" };
    Value::map([
        ("Receiver", Value::Text(notice.receiver.clone())),
        ("Status", Value::Text(status.to_owned())),
        ("Alerts", Value::List(notice.alerts.iter().map(|entry| alert_data(&entry.alert)).collect())),
        ("GroupLabels", visible(&notice.group_labels)),
        ("CommonLabels", visible(&common(&|alert| alert.labels.clone()))),
        ("CommonAnnotations", visible(&common(&|alert| alert.annotations.clone()))),
        ("ExternalURL", Value::Text(context.console_url.unwrap_or_default().to_owned())),
        ("GroupKey", Value::Text(notice.group.clone())),
        ("TruncatedAlerts", Value::Number(0.0)),
        ("AppVersion", Value::Text(env!("CARGO_PKG_VERSION").to_owned())),
    ])
}

#[cfg(test)]
mod tests;
