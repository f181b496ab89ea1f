//! "Did you mean": the known name that a mistyped one is closest to.

/// The closest of the names in a list separated by commas, as words to put into a message; empty where none is close.
pub(super) fn did_you_mean(word: &str, known: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let most = (word.chars().count() / 3).clamp(1, 4);
    known
        .split(", ")
        .filter(|name| !name.is_empty())
        .map(|name| (strsim::damerau_levenshtein(&lower, name), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map_or_else(String::new, |(_, name)| format!(" (did you mean `{name}`?)"))
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn the_closest_and_nothing_far_away() {
        let known = "interval, alias, collect_extended, name_prefix";
        assert_eq!(did_you_mean("intervall", known), " (did you mean `interval`?)");
        assert_eq!(did_you_mean("colect_extended", known), " (did you mean `collect_extended`?)");
        assert_eq!(did_you_mean("Alias", known), " (did you mean `alias`?)");
        assert_eq!(did_you_mean("percpu", known), "");
        assert_eq!(did_you_mean("x", ""), "");
    }
}
