//! Sizes in bytes: `"512MiB"`, `"1.5 GB"`, `"4096"`.

/// Bytes of a text with a unit of 1024 (`KiB`, `MiB`, `GiB`, `TiB`) or of 1000 (`KB`, `MB`, `GB`, `TB`), or with
/// none, in any case; a lone letter counts as the unit of 1024.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(unit_at)?;
    let number: f64 = number.trim().parse().ok()?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    let bytes = number * factor as f64;
    // Larger ones are no size of anything, and would not be exact.
    (bytes >= 0.0 && bytes < (1_u64 << 53) as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn units_of_both_kinds() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("512B", 512),
            ("64KiB", 65_536),
            ("64 kb", 64_000),
            ("1.5MiB", 1_572_864),
            ("2GB", 2_000_000_000),
            ("1G", 1 << 30),
            (" 1 TiB ", 1 << 40),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1 potato", "1MiBs", "inf", "nan", "99999999TiB", "1 2MB"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
