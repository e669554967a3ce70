//! Reading a typed value out of a [`Node`] without going through text or a copy.

use serde::{
    Deserializer,
    de::{
        IntoDeserializer, Visitor,
        value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};

use super::Node;

pub(super) struct NodeDeserializer<'a>(pub(super) &'a Node);

type Error = serde_json::Error;

impl<'de> IntoDeserializer<'de, Error> for NodeDeserializer<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Number(value) => value.deserialize_any(visitor),
            Node::String(value) => visitor.visit_str(value),
            Node::Array(items) => {
                let mut access = SeqDeserializer::new(items.iter().map(NodeDeserializer));
                let value = visitor.visit_seq(&mut access)?;
                access.end()?;
                Ok(value)
            }
            Node::Object(members) => {
                let mut access = MapDeserializer::new(
                    members
                        .iter()
                        .map(|(name, member)| (Key(name), NodeDeserializer(member))),
                );
                let value = visitor.visit_map(&mut access)?;
                access.end()?;
                Ok(value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// Only a few members of a long object are looked up, and not found by walking through all.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Node::Object(members) if fields.len() < members.len() => {
                let wanted = fields.iter().filter_map(|field| {
                    let member = members.get(*field)?;
                    Some((Key(field), NodeDeserializer(member)))
                });
                visitor.visit_map(MapDeserializer::new(wanted))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    /// What is not wanted is not walked through.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Node::String(variant) => visitor.visit_enum((&**variant).into_deserializer()),
            Node::Object(members) => {
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(
                    members
                        .iter()
                        .map(|(name, member)| (&**name, NodeDeserializer(member))),
                )))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier
    }
}

/// A member's name. JSON has only texts as names, so a map whose keys are numbers or booleans was
/// written with their texts and is read back from them.
struct Key<'a>(&'a str);

impl<'de> IntoDeserializer<'de, Error> for Key<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parse_key {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse() {
                Ok(key) => visitor.$visit(key),
                Err(_) => visitor.visit_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0)
    }

    parse_key! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32
        deserialize_i64 visit_i64 deserialize_i128 visit_i128
        deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32
        deserialize_u64 visit_u64 deserialize_u128 visit_u128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inner(u8);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Unit,
        Newtype(Inner),
        Tuple(i64, String),
        Struct { a: Option<bool> },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "state", rename_all = "kebab-case")]
    enum Tagged {
        Running { since: u64 },
        Stopped,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        kinds: Vec<Kind>,
        tagged: Vec<Tagged>,
        map: BTreeMap<String, f64>,
        none: Option<u8>,
        unit: (),
        pair: (u64, char),
        numbers_as_keys: BTreeMap<u16, String>,
    }

    #[test]
    fn every_shape_serde_can_write_is_read_back() {
        let value = Everything {
            kinds: vec![
                Kind::Unit,
                Kind::Newtype(Inner(7)),
                Kind::Tuple(-1, "x".into()),
                Kind::Struct { a: Some(true) },
                Kind::Struct { a: None },
            ],
            tagged: vec![Tagged::Running { since: u64::MAX }, Tagged::Stopped],
            map: [("half".to_owned(), 0.5)].into(),
            none: None,
            unit: (),
            pair: (1, 'ü'),
            numbers_as_keys: [(8080, "http".to_owned())].into(),
        };
        assert_eq!(Node::of(&value).unwrap().to::<Everything>().unwrap(), value);
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Few {
        title_of: String,
        #[serde(alias = "former", default)]
        newer: u8,
        missing: Option<u8>,
    }

    #[test]
    fn of_a_long_object_a_type_may_name_a_few_members() {
        let long = |more: &str| {
            let mut members: BTreeMap<String, u8> = (0..50)
                .map(|number| (format!("member{number}"), number))
                .collect();
            members.insert(more.to_owned(), 7);
            let mut value = serde_json::to_value(members).unwrap();
            value["titleOf"] = "x".into();
            Node::of(value).unwrap()
        };
        for (more, newer) in [("newer", 7), ("former", 7), ("other", 0)] {
            let expected = Few {
                title_of: "x".into(),
                newer,
                missing: None,
            };
            assert_eq!(long(more).to::<Few>().unwrap(), expected, "{more}");
        }
        let without = Node::of(serde_json::json!({ "a": 1, "b": 2, "c": 3, "d": 4, "e": 5 }));
        assert!(without.unwrap().to::<Few>().is_err(), "a member is missing");
    }

    #[test]
    fn a_value_of_another_shape_is_an_error() {
        assert!(Node::Null.to::<u8>().is_err());
        assert!(Node::of(300).unwrap().to::<u8>().is_err());
        assert!(Node::of([1, 2, 3]).unwrap().to::<(u8, u8)>().is_err());
    }
}
