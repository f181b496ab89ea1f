//! "Did you mean": the known word that a mistyped one is closest to. What is said of it is for whoever asks.

/// The closest of the known words, whatever their case; none where no word is close: a third of the letters may differ, one at
/// least and four at most.
#[must_use]
pub fn closest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = word.to_lowercase();
    let far = (word.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn the_closest_and_nothing_far_away() {
        let known = ["interval", "alias", "collect_extended", "name_prefix"];
        assert_eq!(closest("intervall", known), Some("interval"));
        assert_eq!(closest("colect_extended", known), Some("collect_extended"));
        assert_eq!(closest("Alias", known), Some("alias"));
        assert_eq!(closest("percpu", known), None);
        assert_eq!(closest("x", []), None);
    }
}
