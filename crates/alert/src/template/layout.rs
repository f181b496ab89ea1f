//! Times as Go writes them: the layout is an example, the second of January 2006 at 15:04:05 in whatever form is wanted.

use jiff::Zoned;

/// What an example stands for, longer ones before those that they begin with.
const PARTS: &[(&str, &str)] = &[
    ("January", "%B"),
    ("Monday", "%A"),
    ("2006", "%Y"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "%Z"),
    ("Z07:00", "Z%:z"),
    ("Z0700", "Z%z"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("_2", "%e"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// `time` in the form of `layout`.
pub(super) fn format(time: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some((text, length)) = fraction(time, rest) {
            out += &text;
            rest = &rest[length..];
        } else if let Some((example, directive)) = PARTS.iter().find(|(example, _)| begins(rest, example)) {
            out += &match directive.strip_prefix('Z') {
                Some(_) if time.offset().is_zero() => "Z".to_owned(),
                Some(directive) => time.strftime(directive).to_string(),
                None => time.strftime(directive).to_string(),
            };
            rest = &rest[example.len()..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// Whether the example comes next. As in Go, `Jan` and `Mon` are no examples where a word only begins like them, nor is `_2` of
/// a year.
fn begins(rest: &str, example: &str) -> bool {
    let Some(after) = rest.strip_prefix(example) else { return false };
    match example {
        "Jan" | "Mon" => !after.starts_with(|c: char| c.is_ascii_lowercase()),
        "_2" => !rest.starts_with("_2006"),
        _ => true,
    }
}

/// `.000`, where all digits are written, or `.999`, where zeros at the end are not.
fn fraction(time: &Zoned, rest: &str) -> Option<(String, usize)> {
    let point = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digits = &rest[1..];
    let digit = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = digits.chars().take_while(|c| *c == digit).count();
    if count > 9 || digits[count..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let all = format!("{:09}", time.subsec_nanosecond());
    let mut text = &all[..count];
    if digit == '9' {
        text = text.trim_end_matches('0');
    }
    let text = if text.is_empty() { String::new() } else { format!("{point}{text}") };
    Some((text, count + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_read_as_go_reads_them() {
        let time: Zoned = "2024-03-05T07:08:09.120+01:00[+01:00]".parse().unwrap();
        for (layout, expected) in [
            ("2006-01-02 15:04:05", "2024-03-05 07:08:09"),
            ("2006-01-02T15:04:05Z07:00", "2024-03-05T07:08:09+01:00"),
            ("Mon, 02 Jan 2006 15:04:05 -0700", "Tue, 05 Mar 2024 07:08:09 +0100"),
            ("Monday, January 2 at 3:04 PM", "Tuesday, March 5 at 7:08 AM"),
            ("02/01/06 15h04m5s pm", "05/03/24 07h08m9s am"),
            ("Month of _2 Jan, 002", "Month of  5 Mar, 065"),
            ("15:04:05.000 15:04:05.999 5.999999", "07:08:09.120 07:08:09.12 9.12"),
            ("1/2/2006 é 100%", "3/5/2024 é 300%"),
        ] {
            assert_eq!(format(&time, layout), expected, "{layout}");
        }
        let utc: Zoned = "2024-03-05T07:08:09+00:00[UTC]".parse().unwrap();
        assert_eq!(format(&utc, "15:04:05.999Z07:00 MST"), "07:08:09Z UTC");
        assert_eq!(format(&utc, "Z0700"), "Z");
    }
}
