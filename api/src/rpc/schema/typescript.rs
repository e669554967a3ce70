//! Reads the type declarations that `ts-rs` writes: the part of TypeScript that describes data.

use std::{iter::Peekable, str::CharIndices};

/// A type of data.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Unknown,
    Never,
    Text,
    Number,
    Boolean,
    Null,
    Literal(String),
    List(Box<Type>),
    Tuple(Vec<Type>),
    /// Any names, each with a value of one type.
    Map(Box<Type>),
    Object(Vec<Field>),
    Either(Vec<Type>),
    Both(Vec<Type>),
    Named(String),
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) optional: bool,
    pub(super) of: Type,
}

/// A declaration that is not of the part of TypeScript that is known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` cannot be read as a type from character {at} on; teach rpc/schema/typescript.rs to"
)]
pub(super) struct Unread {
    text: String,
    at: usize,
}

/// Reads `type Name = …;`.
pub(super) fn declaration(text: &str) -> Result<Type, Unread> {
    let body = text.split_once('=').map_or(text, |(_, body)| body);
    reference(body.trim().trim_end_matches(';'))
}

/// Reads a type as it stands in a field.
pub(super) fn reference(text: &str) -> Result<Type, Unread> {
    let mut reader = Reader {
        text,
        ahead: text.char_indices().peekable(),
    };
    let read = reader.either()?;
    reader.blank();
    match reader.ahead.peek() {
        None => Ok(read),
        Some(_) => Err(reader.unread()),
    }
}

/// The words of a doc comment, without what makes it a comment.
pub(super) fn words(comment: &str) -> String {
    let lines = comment.lines().map(|line| {
        line.trim()
            .trim_start_matches("/**")
            .trim_end_matches("*/")
            .trim_start_matches('*')
            .trim()
    });
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

struct Reader<'a> {
    text: &'a str,
    ahead: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn at(&mut self) -> usize {
        self.ahead.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn unread(&mut self) -> Unread {
        Unread {
            text: self.text.to_owned(),
            at: self.at(),
        }
    }

    /// Goes over blanks and comments; gives the last comment.
    fn blank(&mut self) -> String {
        let mut comment = String::new();
        loop {
            while self
                .ahead
                .next_if(|(_, char)| char.is_whitespace())
                .is_some()
            {}
            let rest = &self.text[self.at()..];
            let Some(length) = rest.strip_prefix("/*").and_then(|rest| rest.find("*/")) else {
                return comment;
            };
            let end = self.at() + length + 4;
            comment = words(&self.text[self.at()..end]);
            while self.ahead.next_if(|(at, _)| *at < end).is_some() {}
        }
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.blank();
        self.ahead.next_if(|(_, char)| *char == wanted).is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), Unread> {
        if self.takes(wanted) {
            Ok(())
        } else {
            Err(self.unread())
        }
    }

    fn either(&mut self) -> Result<Type, Unread> {
        // A union may begin with its bar.
        self.takes('|');
        let mut one_of = vec![self.both()?];
        while self.takes('|') {
            one_of.push(self.both()?);
        }
        Ok(only(one_of).unwrap_or_else(Type::Either))
    }

    fn both(&mut self) -> Result<Type, Unread> {
        let mut all = vec![self.listed()?];
        while self.takes('&') {
            all.push(self.listed()?);
        }
        Ok(only(all).unwrap_or_else(Type::Both))
    }

    fn listed(&mut self) -> Result<Type, Unread> {
        let mut read = self.single()?;
        while self.takes('[') {
            self.expect(']')?;
            read = Type::List(Box::new(read));
        }
        Ok(read)
    }

    fn single(&mut self) -> Result<Type, Unread> {
        if self.takes('(') {
            let read = self.either()?;
            self.expect(')')?;
            return Ok(read);
        }
        if self.takes('[') {
            return Ok(Type::Tuple(self.until(']')?));
        }
        if self.takes('{') {
            return self.object();
        }
        if let Some(text) = self.quoted() {
            return Ok(Type::Literal(text));
        }
        let name = self.word().ok_or_else(|| self.unread())?;
        let of = if self.takes('<') {
            self.until('>')?
        } else {
            Vec::new()
        };
        Ok(match (name.as_str(), of.as_slice()) {
            ("unknown", []) => Type::Unknown,
            ("never", []) => Type::Never,
            ("string", []) => Type::Text,
            ("number", []) => Type::Number,
            ("boolean", []) => Type::Boolean,
            ("null", []) => Type::Null,
            ("Array", [one]) => Type::List(Box::new(one.clone())),
            // No members that are known; others may be there all the same.
            ("Record", [_, Type::Never]) => Type::Object(Vec::new()),
            ("Record", [_, value]) => Type::Map(Box::new(value.clone())),
            (_, []) => Type::Named(name),
            _ => return Err(self.unread()),
        })
    }

    /// Types with commas between them.
    fn until(&mut self, end: char) -> Result<Vec<Type>, Unread> {
        let mut types = Vec::new();
        while !self.takes(end) {
            types.push(self.either()?);
            if !self.takes(',') {
                self.expect(end)?;
                break;
            }
        }
        Ok(types)
    }

    fn object(&mut self) -> Result<Type, Unread> {
        let mut fields = Vec::new();
        loop {
            let about = self.blank();
            if self.takes('}') {
                return Ok(Type::Object(fields));
            }
            if self.takes('[') {
                return self.map();
            }
            let name = match self.quoted() {
                Some(name) => name,
                None => self.word().ok_or_else(|| self.unread())?,
            };
            let optional = self.takes('?');
            self.expect(':')?;
            let of = self.either()?;
            fields.push(Field {
                name,
                about,
                optional,
                of,
            });
            if !self.takes(',') && !self.takes(';') {
                self.expect('}')?;
                return Ok(Type::Object(fields));
            }
        }
    }

    /// `[key in K]?: V }`, from after the bracket.
    fn map(&mut self) -> Result<Type, Unread> {
        self.word().ok_or_else(|| self.unread())?;
        if self.word().as_deref() != Some("in") {
            return Err(self.unread());
        }
        self.either()?;
        self.expect(']')?;
        self.takes('?');
        self.expect(':')?;
        let value = self.either()?;
        self.takes(',');
        self.expect('}')?;
        Ok(Type::Map(Box::new(value)))
    }

    fn quoted(&mut self) -> Option<String> {
        if !self.takes('"') {
            return None;
        }
        let mut text = String::new();
        loop {
            match self.ahead.next()?.1 {
                '"' => return Some(text),
                '\\' => text.push(self.ahead.next()?.1),
                char => text.push(char),
            }
        }
    }

    fn word(&mut self) -> Option<String> {
        self.blank();
        let of_word = |char: &char| char.is_alphanumeric() || matches!(char, '_' | '$');
        let mut word = String::new();
        while let Some((_, char)) = self.ahead.next_if(|(_, char)| of_word(char)) {
            word.push(char);
        }
        (!word.is_empty()).then_some(word)
    }
}

/// The only one there is, or all.
fn only(mut types: Vec<Type>) -> Result<Type, Vec<Type>> {
    match types.len() {
        1 => types.pop().ok_or(types),
        _ => Err(types),
    }
}

#[cfg(test)]
mod tests {
    use super::{Type::*, *};

    fn field(name: &str, optional: bool, of: Type) -> Field {
        Field {
            name: name.into(),
            about: String::new(),
            optional,
            of,
        }
    }

    #[test]
    fn what_ts_rs_writes_is_read() {
        let named = |name: &str| Named(name.into());
        for (text, expected) in [
            ("string | null", Either(vec![Text, Null])),
            (
                "Array<[string, number]>",
                List(Box::new(Tuple(vec![Text, Number]))),
            ),
            (
                "Record<string, unknown>[]",
                List(Box::new(Map(Box::new(Unknown)))),
            ),
            ("{ [key in string]?: Host }", Map(Box::new(named("Host")))),
            ("{  }", Object(vec![])),
            ("Record<string, never>", Object(vec![])),
            (
                "\"a\" | \"b\"",
                Either(vec![Literal("a".into()), Literal("b".into())]),
            ),
            (
                "{ \"kind\": \"x\", a?: boolean | null, } & (A | B)",
                Both(vec![
                    Object(vec![
                        field("kind", false, Literal("x".into())),
                        field("a", true, Either(vec![Boolean, Null])),
                    ]),
                    Either(vec![named("A"), named("B")]),
                ]),
            ),
        ] {
            assert_eq!(reference(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_comment_belongs_to_the_field_after_it() {
        let text = "type A = { \n/**\n * Its name,\n * in full.\n */\nname: string, };";
        let about = "Its name, in full.".to_owned();
        let expected = Field {
            about,
            ..field("name", false, Text)
        };
        assert_eq!(declaration(text), Ok(Object(vec![expected])));
    }

    #[test]
    fn what_is_not_known_is_said_and_not_guessed() {
        for text in [
            "",
            "{ a: }",
            "Map<string, number>",
            "keyof A",
            "string |",
            "\"open",
        ] {
            assert!(reference(text).is_err(), "{text}");
        }
    }
}
