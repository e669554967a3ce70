//! Text of others that is kept: how it is cut.

const MORE: &str = "…";

/// Keeps the beginning of a text, at most so many bytes, and says that there was more.
pub(crate) fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes.saturating_sub(MORE.len())));
        text.push_str(MORE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character_and_a_short_one_is_left_alone() {
        for (text, kept) in [
            ("", ""),
            ("12345678", "12345678"),
            ("123456789", "12345…"),
            ("1234ä6789", "1234…"),
        ] {
            let mut text = text.to_owned();
            cut(&mut text, 8);
            assert_eq!(text, kept);
        }
    }
}
