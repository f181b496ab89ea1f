//! DataDog's events and service checks among StatsD's lines, which become metrics of their own. Pure.
//!
//! Formats: `_e{title length,text length}:title|text|d:time|h:host|k:key|p:priority|s:source|t:type|#tags` and
//! `_sc|name|status|d:time|h:host|#tags|m:message` (docs.datadoghq.com, "Datagram format").

use super::line::datadog_tags;
use crate::metric::Metric;

/// The metric of an event or a check; `None` for another line. `source` is who sent it.
pub(super) fn event_or_check(line: &str, source: &str, now_ns: i64) -> Result<Option<Metric>, String> {
    if let Some(rest) = line.strip_prefix("_e{") {
        event(rest, source, now_ns).map(Some)
    } else if let Some(rest) = line.strip_prefix("_sc|") {
        check(rest, source, now_ns).map(Some)
    } else {
        Ok(None)
    }
}

fn event(rest: &str, source: &str, now_ns: i64) -> Result<Metric, String> {
    let (lengths, rest) = rest.split_once("}:").ok_or("the lengths of an event are not closed by \"}:\"")?;
    let (title, text) = lengths.split_once(',').ok_or("an event has two lengths")?;
    let length = |text: &str| text.trim().parse::<usize>().map_err(|_| format!("{text:?} is no length"));
    let (title, text) = (length(title)?, length(text)?);
    let wrong = || "the lengths of the event are not those of its parts".to_owned();
    let name = rest.get(..title).ok_or_else(wrong)?;
    let rest = rest.get(title..).and_then(|rest| rest.strip_prefix('|')).ok_or_else(wrong)?;
    let (text, rest) = (rest.get(..text).ok_or_else(wrong)?, rest.get(text..).ok_or_else(wrong)?);
    if name.is_empty() {
        return Err("an event needs a title".to_owned());
    }
    let mut metric = Metric::new(name.to_owned(), now_ns)
        .field("alert_type", "info")
        .field("text", text.replace("\\n", "\n"))
        .field("priority", "normal");
    set_source(&mut metric, source);
    for part in rest.split('|').filter(|part| !part.is_empty()) {
        match part.split_at_checked(2) {
            Some(("d:", time)) => set_time(&mut metric, time)?,
            Some(("h:", host)) => metric.set_tag("source", host),
            Some(("k:", key)) => metric.set_tag("aggregation_key", key),
            Some(("p:", priority @ ("low" | "normal"))) => metric.set_field("priority", priority),
            Some(("s:", system)) => metric.set_field("source_type_name", system),
            Some(("t:", kind @ ("error" | "warning" | "success" | "info"))) => {
                metric.set_field("alert_type", kind);
            }
            _ => set_tags(&mut metric, part)?,
        }
    }
    Ok(metric)
}

fn check(rest: &str, source: &str, now_ns: i64) -> Result<Metric, String> {
    let mut parts = rest.split('|');
    let name = parts.next().filter(|name| !name.is_empty()).ok_or("a service check needs a name")?;
    let status = parts.next().unwrap_or_default();
    let status: i64 = match status {
        "0" | "1" | "2" | "3" => i64::from(status.as_bytes()[0] - b'0'),
        other => return Err(format!("the status {other:?} of a service check is none of 0, 1, 2, 3")),
    };
    let mut metric = Metric::new(name.to_owned(), now_ns).field("status", status);
    set_source(&mut metric, source);
    for part in parts {
        match part.split_at_checked(2) {
            Some(("d:", time)) => set_time(&mut metric, time)?,
            Some(("h:", host)) => metric.set_tag("source", host),
            Some(("m:", message)) => metric.set_field("message", message.replace("\\n", "\n")),
            _ => set_tags(&mut metric, part)?,
        }
    }
    Ok(metric)
}

fn set_source(metric: &mut Metric, source: &str) {
    if !source.is_empty() {
        metric.set_tag("source", source);
    }
}

fn set_time(metric: &mut Metric, seconds: &str) -> Result<(), String> {
    let seconds: i64 = seconds.parse().map_err(|_| format!("{seconds:?} is no time"))?;
    metric.set_field("ts", seconds);
    Ok(())
}

fn set_tags(metric: &mut Metric, part: &str) -> Result<(), String> {
    let list = part.strip_prefix('#').ok_or_else(|| format!("{part:?} is not understood"))?;
    let mut tags = Vec::new();
    datadog_tags(list, &mut tags);
    for (key, value) in tags {
        // `host` would be taken for the agent's own.
        let key = if key == "host" { "source".to_owned() } else { key };
        metric.set_tag(key, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processors::testing::lines;

    fn line(text: &str) -> String {
        let metric = event_or_check(text, "10.0.0.1", 7).expect(text).expect("an event or a check");
        lines(&[metric]).remove(0)
    }

    #[test]
    fn events_and_checks() {
        assert_eq!(
            line("_e{5,11}:title|some\\ntext!|d:21|p:low|t:error|k:ak|s:src|#a:b,host:h"),
            "title,a=b,aggregation_key=ak,source=h alert_type=\"error\",text=\"some\ntext!\",priority=\"low\",ts=21i,source_type_name=\"src\" 7"
        );
        assert_eq!(
            line("_sc|db.up|2|m:gone|#x"),
            "db.up,source=10.0.0.1,x=true status=2i,message=\"gone\" 7"
        );
        assert_eq!(event_or_check("a:1|c", "", 7), Ok(None));
    }

    #[test]
    fn faults_are_named() {
        for text in ["_e{5}:title|text", "_e{9,4}:title|text", "_e{5,4}:title|text|z:1", "_sc|a|7", "_sc||0"]
        {
            assert!(event_or_check(text, "", 7).is_err(), "{text}");
        }
    }
}
