//! What is said of a mistyped name: the known one that was probably meant.

/// The closest of the names in a list separated by commas, as words to put into a message; empty where none is close.
pub(super) fn did_you_mean(word: &str, known: &str) -> String {
    let known = known.split(", ").filter(|name| !name.is_empty());
    skywatch_spelling::closest(word, known)
        .map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
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
