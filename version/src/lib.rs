//! The version of a program, with the commit that it is built from. A macro rather than a build script: a new commit then
//! compiles only the file again that names the macro, and not the whole package.

mod commit;

use std::{env, path::PathBuf};

use proc_macro::TokenStream;

use crate::commit::{Checkout, version};

/// The package's number, with the first digits of the commit and its date: `"0.1.0 (8d13c68 2026-11-30)"`. Only the number
/// where the package does not lie in a repository that has it, as after unpacking an archive. The date is the commit's, in
/// UTC, or that of `SOURCE_DATE_EPOCH`, so that the same source gives the same program.
#[proc_macro]
pub fn version_with_commit(_: TokenStream) -> TokenStream {
    let variable = |name| env::var(name).unwrap_or_default();
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let checkout = Checkout::find(&folder);
    let epoch = variable("SOURCE_DATE_EPOCH").parse().ok();
    let text = version(&variable("CARGO_PKG_VERSION"), checkout.as_ref(), epoch);
    // What is included is watched: the compiler runs again when one of these files has changed.
    let watched = checkout.iter().flat_map(|checkout| &checkout.watched);
    let watched =
        watched.filter_map(|file| Some(format!("const _: &[u8] = include_bytes!({:?});", file.to_str()?)));
    let watched: String = watched.collect();
    let code =
        format!("{{ {watched} const _: Option<&str> = option_env!(\"SOURCE_DATE_EPOCH\"); {text:?} }}");
    code.parse().unwrap_or_else(|error| panic!("{code}: {error}"))
}
