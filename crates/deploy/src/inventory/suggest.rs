//! What is said of a mistyped word: the known one that was probably meant.

/// The closest of the known words, as words to put behind a message; where none is close, all of them.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match skywatch_spelling::closest(word, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "there is none".to_owned(),
        None => format!("there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn the_closest_or_all() {
        assert_eq!(did_you_mean("adress", ["address", "roles"]), "did you mean `address`?");
        assert_eq!(did_you_mean("Roles", ["address", "roles"]), "did you mean `roles`?");
        assert_eq!(did_you_mean("colour", ["address", "roles"]), "there are address, roles");
        assert_eq!(did_you_mean("x", []), "there is none");
    }
}
