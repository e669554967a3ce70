//! Variants of an enum, by name: for the trace of a state machine's steps, and for tests that must meet
//! them all.

/// Gives an enum the names of its variants: `VARIANTS`, all of them, and `variant()`, its own. A variant
/// that is not listed does not compile.
///
/// ```
/// enum Light { Red, Green { seconds: u32 }, Blinking(u8) }
/// coppice_supervision::variants!(Light: Red, Green, Blinking);
///
/// assert_eq!(Light::VARIANTS, ["Red", "Green", "Blinking"]);
/// assert_eq!(Light::Green { seconds: 30 }.variant(), "Green");
/// # let _ = (Light::Red, Light::Blinking(1));
/// ```
#[macro_export]
macro_rules! variants {
    ($name:ident: $($variant:ident),+ $(,)?) => {
        #[allow(dead_code, unreachable_pub, reason = "who only traces needs no list, and the enum may be private")]
        impl $name {
            /// The names of all variants.
            pub const VARIANTS: &'static [&'static str] = &[$(stringify!($variant)),+];

            /// The name of this variant.
            #[must_use]
            pub const fn variant(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($variant)),+
                }
            }
        }
    };
}
