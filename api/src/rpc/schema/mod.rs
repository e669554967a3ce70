//! What the methods' types look like from outside: in TypeScript, in JSON Schema, as an OpenRPC document.
//!
//! ```text
//! Rust type ── ts-rs ──▶ TypeScript declaration ──▶ web/src/app/api/generated/methods.ts
//!                             └── typescript.rs ──▶ Type ── json_schema.rs ──▶ rpc.discover
//! ```
//!
//! The JSON Schema is made from the TypeScript, so that a type is described once and the two cannot
//! differ: `docs/decisions/0032-methods-are-declared-once.md`.

mod discover;
#[cfg(test)]
mod generated;
mod json_schema;
mod typescript;

use std::{any::TypeId, collections::BTreeMap};

use ts_rs::{Config, TS, TypeVisitor};

pub(super) use discover::discover;

/// What a type looks like from outside.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    name: fn(&Config) -> String,
    gather: fn(&mut Declarations),
}

impl Shape {
    pub(super) const fn of<T: TS + 'static>() -> Self {
        Self {
            name: T::name,
            gather: Declarations::add::<T>,
        }
    }

    /// How TypeScript refers to it.
    fn typescript(self) -> String {
        (self.name)(&config())
    }
}

/// All our numbers fit in the 53 bits that JavaScript keeps exactly.
fn config() -> Config {
    Config::new().with_large_int("number")
}

/// One type that has a declaration.
struct Declared {
    rust: TypeId,
    about: String,
    typescript: String,
}

/// Types by their names in TypeScript, with all that they refer to.
struct Declarations {
    config: Config,
    found: BTreeMap<String, Declared>,
    /// Names that two types have: then one of them cannot be told.
    ambiguous: Vec<String>,
}

impl Declarations {
    fn none() -> Self {
        Self {
            config: config(),
            found: BTreeMap::new(),
            ambiguous: Vec::new(),
        }
    }

    fn add<T: TS + 'static>(&mut self) {
        self.visit::<T>();
        T::visit_generics(self);
    }

    /// Those of every method.
    fn of_methods() -> Self {
        let mut all = Self::none();
        for method in super::METHODS {
            (method.params.gather)(&mut all);
            (method.result.gather)(&mut all);
        }
        all
    }
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Only what is declared somewhere has a place to be written to; strings and numbers have none.
        if T::output_path().is_none() {
            return;
        }
        let (name, rust) = (T::ident(&self.config), TypeId::of::<T>());
        if let Some(known) = self.found.get(&name) {
            if known.rust != rust {
                self.ambiguous.push(name);
            }
            return;
        }
        let declared = Declared {
            rust,
            about: T::docs().unwrap_or_default(),
            typescript: T::decl(&self.config),
        };
        self.found.insert(name, declared);
        T::visit_dependencies(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_types_have_one_name() {
        assert_eq!(Declarations::of_methods().ambiguous, Vec::<String>::new());
    }
}
