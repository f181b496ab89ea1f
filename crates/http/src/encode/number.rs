//! Numbers as Go writes them: `encoding/json` for JSON, `strconv.FormatFloat(v, 'f', -1, 64)` for CSV.
//! Both write the shortest digits that read back to the same value; they differ in when an exponent is used.

/// Whole numbers below this are exact and written through the integer path, which is what most samples are.
const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Appends an integer.
#[inline]
pub(crate) fn push_i64(out: &mut Vec<u8>, value: i64) {
    // Percentages and small counts are what most samples are.
    match value {
        0..10 => return out.push(b'0' + value as u8),
        10..100 => return out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]),
        _ => {}
    }
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends an unsigned integer.
#[inline]
pub(crate) fn push_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a float as Go's `encoding/json` does: an exponent below 1e-6 and from 1e21 on. What JSON cannot say
/// (NaN, infinities) becomes `null`.
#[inline]
pub(crate) fn push_f64_json(out: &mut Vec<u8>, value: f64) {
    if push_exact_integer(out, value) {
        return;
    }
    if !value.is_finite() {
        out.extend_from_slice(b"null");
        return;
    }
    let magnitude = value.abs();
    push_shortest(out, value, magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude));
}

/// Appends a float in plain decimal digits, however many that takes.
pub(crate) fn push_f64_plain(out: &mut Vec<u8>, value: f64) {
    if push_exact_integer(out, value) {
        return;
    }
    if value.is_finite() {
        push_shortest(out, value, false);
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
}

#[inline]
fn push_exact_integer(out: &mut Vec<u8>, value: f64) -> bool {
    let whole = value as i64;
    let exact =
        whole as f64 == value && value.abs() < EXACT_INTEGER && (whole != 0 || value.is_sign_positive());
    if exact {
        push_i64(out, whole);
    }
    exact
}

fn push_shortest(out: &mut Vec<u8>, value: f64, with_exponent: bool) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    // Where the library sees no need of an exponent, its form is Go's, but for the fraction of whole numbers.
    if !with_exponent && !text.contains('e') {
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
        return;
    }
    let decimal = Decimal::parse(text);
    if decimal.negative {
        out.push(b'-');
    }
    if with_exponent { decimal.push_scientific(out) } else { decimal.push_plain(out) }
}

/// `0.d1d2d3... * 10^point`, no leading or trailing zeros among the digits (zero itself has none).
struct Decimal {
    negative: bool,
    digits: [u8; 32],
    len: usize,
    point: i32,
}

impl Decimal {
    /// Takes apart `[-]digits[.digits][e[+-]digits]`, at most 32 significant digits.
    fn parse(text: &str) -> Self {
        let mut decimal = Self { negative: false, digits: [0; 32], len: 0, point: 0 };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut after_point = false;
        for byte in mantissa.bytes() {
            match byte {
                b'-' => decimal.negative = true,
                b'.' => after_point = true,
                // Leading zeros only move the point.
                b'0' if decimal.len == 0 => decimal.point -= i32::from(after_point),
                digit => {
                    decimal.digits[decimal.len] = digit;
                    decimal.len += 1;
                    decimal.point += i32::from(!after_point);
                }
            }
        }
        decimal.point += exponent.parse::<i32>().unwrap_or(0);
        while decimal.len > 0 && decimal.digits[decimal.len - 1] == b'0' {
            decimal.len -= 1;
        }
        decimal
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    fn push_scientific(&self, out: &mut Vec<u8>) {
        let (first, rest) =
            self.digits().split_first().map_or((b'0', &[][..]), |(first, rest)| (*first, rest));
        out.push(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        out.push(b'e');
        let exponent = self.point - 1;
        if exponent >= 0 {
            out.push(b'+');
        }
        push_i64(out, i64::from(exponent));
    }

    fn push_plain(&self, out: &mut Vec<u8>) {
        let digits = self.digits();
        match usize::try_from(self.point) {
            Ok(0) | Err(_) => {
                out.extend_from_slice(b"0.");
                out.resize(out.len() + self.point.unsigned_abs() as usize, b'0');
                out.extend_from_slice(digits);
            }
            Ok(point) if point >= digits.len() => {
                out.extend_from_slice(digits);
                out.resize(out.len() + point - digits.len(), b'0');
            }
            Ok(point) => {
                let (whole, fraction) = digits.split_at(point);
                out.extend_from_slice(whole);
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(push: fn(&mut Vec<u8>, f64), value: f64) -> String {
        let mut out = Vec::new();
        push(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    /// Each line of the golden file: the bits in hexadecimal, Go's JSON, Go's plain digits.
    #[test]
    fn floats_read_as_go_writes_them() {
        let mut seen = 0;
        for line in include_str!("../../testdata/go-floats.txt").lines() {
            let [bits, json, plain] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            assert_eq!(written(push_f64_json, value), json, "{bits}");
            assert_eq!(written(push_f64_plain, value), plain, "{bits}");
            seen += 1;
        }
        assert!(seen > 200, "golden file is cut short");
    }

    #[test]
    fn json_has_no_nan() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(written(push_f64_json, value), "null");
        }
    }

    proptest! {
        #[test]
        fn any_float_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let json: f64 = written(push_f64_json, value).parse().unwrap();
            let plain: f64 = written(push_f64_plain, value).parse().unwrap();
            prop_assert_eq!(json.to_bits(), bits);
            prop_assert_eq!(plain.to_bits(), bits);
        }
    }
}
