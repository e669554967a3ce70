//! `#[derive(Places)]`: from a type of the document to the places of its members.
//!
//! For a struct `Server { name: String }` it makes a trait `ServerPlaces`, which gives a
//! `Place<Server>` the method `name`, a `Place<String>`. The names in the document are those that
//! serde gives the members.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, LitStr, Result, meta::ParseNestedMeta,
    parse_macro_input, spanned::Spanned,
};

/// See the crate.
#[proc_macro_derive(Places, attributes(serde))]
pub fn derive_places(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    places(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn places(input: &DeriveInput) -> Result<Tokens> {
    let Data::Struct(data) = &input.data else {
        let why = "only a struct has the same members always";
        return Err(Error::new(input.span(), why));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.span(), "its members have no names"));
    };
    let holder = Names::of(&input.attrs)?;
    let (mut declared, mut defined) = (Vec::new(), Vec::new());
    for field in &fields.named {
        if let Some((signature, name)) = member(field, &holder)? {
            let docs = field.attrs.iter().filter(|one| one.path().is_ident("doc"));
            declared.push(quote!(#(#docs)* #signature;));
            defined.push(quote!(#signature { self.member(#name) }));
        }
    }
    let (visibility, name) = (&input.vis, &input.ident);
    let places = format_ident!("{name}Places");
    let about = format!("The members of a place that holds a [`{name}`].");
    Ok(quote! {
        #[doc = #about]
        #visibility trait #places {
            #(#declared)*
        }

        impl #places for ::patchdb::Place<#name> {
            #(#defined)*
        }
    })
}

/// The method for a member and its name in the document; `None` when it is not in there.
fn member(field: &Field, holder: &Names) -> Result<Option<(Tokens, String)>> {
    let names = Names::of(&field.attrs)?;
    if names.skipped {
        return Ok(None);
    }
    if names.flattened {
        let why = "a flattened member has no place of its own; it lies where its holder does";
        return Err(Error::new(field.span(), why));
    }
    let Some(ident) = &field.ident else {
        return Ok(None);
    };
    let plain = ident.to_string();
    let plain = plain.trim_start_matches("r#");
    let name = match (names.renamed, &holder.rule) {
        (Some(name), _) => name,
        (None, Some(rule)) => renamed(plain, rule)?,
        (None, None) => plain.to_owned(),
    };
    let holds = &field.ty;
    let signature = quote!(fn #ident(&self) -> ::patchdb::Place<#holds>);
    Ok(Some((signature, name)))
}

fn renamed(name: &str, rule: &LitStr) -> Result<String> {
    match rule.value().as_str() {
        "snake_case" => Ok(name.to_owned()),
        "kebab-case" => Ok(name.replace('_', "-")),
        "camelCase" => {
            let mut words = name.split('_');
            let first = words.next().unwrap_or_default().to_owned();
            Ok(words.fold(first, |so_far, word| so_far + &capitalised(word)))
        }
        other => Err(Error::new(
            rule.span(),
            format!("`{other}` is not used in the document; teach the derive first"),
        )),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// What serde is told about names.
#[derive(Default)]
struct Names {
    rule: Option<LitStr>,
    renamed: Option<String>,
    skipped: bool,
    flattened: bool,
}

impl Names {
    fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut names = Self::default();
        for attribute in attributes.iter().filter(|one| one.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| names.take(&meta))?;
        }
        Ok(names)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("rename_all") {
            self.rule = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("rename") {
            self.renamed = Some(meta.value()?.parse::<LitStr>()?.value());
        } else if meta.path.is_ident("skip") {
            self.skipped = true;
        } else if meta.path.is_ident("flatten") {
            self.flattened = true;
        } else if let Ok(value) = meta.value() {
            // `default = "…"` and its like say nothing of names.
            value.parse::<LitStr>()?;
        }
        Ok(())
    }
}
