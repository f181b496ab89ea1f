//! What `ping` prints. Pure.
//!
//! ```text
//! 64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.047 ms
//!
//! --- 127.0.0.1 ping statistics ---
//! 3 packets transmitted, 3 received, 0% packet loss, time 406ms
//! rtt min/avg/max/mdev = 0.036/0.041/0.047/0.004 ms
//! ```

/// What it says.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) transmitted: u64,
    pub(super) received: u64,
    /// Of the first reply.
    pub(super) ttl: Option<i64>,
    /// Of every reply, in the order they came.
    pub(super) replies_ms: Vec<f64>,
    pub(super) summary: Option<Times>,
}

/// Times of replies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Times {
    pub(super) minimum: f64,
    pub(super) average: f64,
    pub(super) maximum: f64,
    /// Which not every ping tells.
    pub(super) deviation: Option<f64>,
}

impl Times {
    /// None of no replies.
    pub(super) fn of_replies(replies: &[f64]) -> Option<Self> {
        if replies.is_empty() {
            return None;
        }
        let count = replies.len() as f64;
        let average = replies.iter().sum::<f64>() / count;
        let variance = replies.iter().map(|ms| (ms - average).powi(2)).sum::<f64>() / count;
        Some(Self {
            minimum: replies.iter().copied().fold(f64::INFINITY, f64::min),
            average,
            maximum: replies.iter().copied().fold(0.0, f64::max),
            deviation: Some(variance.sqrt()),
        })
    }
}

/// Reads it; an error if there is no line of statistics.
pub(super) fn parse(text: &str) -> Result<Seen, String> {
    let mut counts = None;
    let mut seen = Seen { transmitted: 0, received: 0, ttl: None, replies_ms: Vec::new(), summary: None };
    for line in text.lines().map(str::trim) {
        if line.contains("packets transmitted") {
            counts = packets(line);
        } else if let Some(times) = ["rtt ", "round-trip "].iter().find_map(|head| line.strip_prefix(head)) {
            seen.summary = summary(times);
        } else if line.contains(" bytes from ") && !line.ends_with("(DUP!)") {
            let value = |key: &str| {
                let rest = line.split_once(key)?.1;
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
                rest.get(..end)
            };
            seen.replies_ms
                .extend(value(" time=").or(value(" time<")).and_then(|text| text.parse::<f64>().ok()));
            seen.ttl = seen.ttl.or(value(" ttl=").and_then(|text| text.parse().ok()));
        }
    }
    (seen.transmitted, seen.received) = counts.ok_or_else(|| {
        let first = text.lines().next().unwrap_or_default();
        format!(
            "no statistics in what it prints, which begins with {:?}",
            first.chars().take(120).collect::<String>()
        )
    })?;
    Ok(seen)
}

/// `3 packets transmitted, 3 received, ...`; some say `3 packets received`.
fn packets(line: &str) -> Option<(u64, u64)> {
    let mut parts = line.split(',');
    let number = |part: &str| part.split_ascii_whitespace().next()?.parse().ok();
    let transmitted = number(parts.next()?)?;
    let received = parts.find(|part| part.contains("received"))?;
    Some((transmitted, number(received)?))
}

/// `min/avg/max/mdev = 0.036/0.041/0.047/0.004 ms`, with or without the last.
fn summary(text: &str) -> Option<Times> {
    let values = text.split_once('=')?.1.split_ascii_whitespace().next()?;
    let values: Vec<f64> = values.split('/').map(|value| value.parse().ok()).collect::<Option<_>>()?;
    match values.as_slice() {
        [minimum, average, maximum, rest @ ..] => Some(Times {
            minimum: *minimum,
            average: *average,
            maximum: *maximum,
            deviation: rest.first().copied(),
        }),
        _ => None,
    }
}

/// Between the two values whose ranks are next to it, where it falls between.
pub(super) fn percentile(replies: &[f64], percentile: i64) -> Option<f64> {
    let mut sorted = replies.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = percentile as f64 / 100.0 * sorted.len().saturating_sub(1) as f64;
    let lower = sorted.get(rank.floor() as usize)?;
    let upper = sorted.get(rank.ceil() as usize)?;
    Some(lower + rank.fract() * (upper - lower))
}
