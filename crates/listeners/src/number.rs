//! Numbers as senders write them.

/// The numbers of Go 1.11 that Rust reads too: no digits in other bases, no underscores.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_infinite = unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity");
    let is_number = unsigned.starts_with(|char: char| char.is_ascii_digit() || char == '.');
    let is_nan = text.eq_ignore_ascii_case("nan");
    (is_infinite || is_number || is_nan).then(|| text.parse().ok())?
}
