//! Package strings: texts are looked into, cut and changed. As in Flux, places are counted in bytes, but for
//! `substring` and `strlen`, which count characters.

mod change;
mod cut;
mod find;

use std::sync::Arc;

use crate::{
    Call, Error,
    function::{Builtin, required},
    packages::{Library, no_constants},
};

/// No function makes a longer text than this.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// Package strings.
pub(crate) static LIBRARY: Library = Library {
    path: "strings",
    builtins: &[
        Builtin { name: "compare", parameters: &[required("v"), required("t")], run: find::compare },
        Builtin {
            name: "containsAny",
            parameters: &[required("v"), required("chars")],
            run: find::contains_any,
        },
        Builtin {
            name: "containsStr",
            parameters: &[required("v"), required("substr")],
            run: find::contains_str,
        },
        Builtin { name: "countStr", parameters: &[required("v"), required("substr")], run: find::count_str },
        Builtin { name: "equalFold", parameters: &[required("v"), required("t")], run: find::equal_fold },
        Builtin {
            name: "hasPrefix",
            parameters: &[required("v"), required("prefix")],
            run: find::has_prefix,
        },
        Builtin {
            name: "hasSuffix",
            parameters: &[required("v"), required("suffix")],
            run: find::has_suffix,
        },
        Builtin { name: "index", parameters: &[required("v"), required("substr")], run: find::index },
        Builtin { name: "indexAny", parameters: &[required("v"), required("chars")], run: find::index_any },
        Builtin { name: "isDigit", parameters: &[required("v")], run: find::is_digit },
        Builtin { name: "isLetter", parameters: &[required("v")], run: find::is_letter },
        Builtin { name: "isLower", parameters: &[required("v")], run: find::is_lower },
        Builtin { name: "isUpper", parameters: &[required("v")], run: find::is_upper },
        Builtin { name: "joinStr", parameters: &[required("arr"), required("v")], run: cut::join_str },
        Builtin {
            name: "lastIndex",
            parameters: &[required("v"), required("substr")],
            run: find::last_index,
        },
        Builtin {
            name: "lastIndexAny",
            parameters: &[required("v"), required("chars")],
            run: find::last_index_any,
        },
        Builtin { name: "repeat", parameters: &[required("v"), required("i")], run: change::repeat },
        Builtin {
            name: "replace",
            parameters: &[required("v"), required("t"), required("u"), required("i")],
            run: change::replace,
        },
        Builtin {
            name: "replaceAll",
            parameters: &[required("v"), required("t"), required("u")],
            run: change::replace_all,
        },
        Builtin { name: "split", parameters: &[required("v"), required("t")], run: cut::split },
        Builtin { name: "splitAfter", parameters: &[required("v"), required("t")], run: cut::split_after },
        Builtin {
            name: "splitAfterN",
            parameters: &[required("v"), required("t"), required("i")],
            run: cut::split_after_n,
        },
        Builtin {
            name: "splitN",
            parameters: &[required("v"), required("t"), required("i")],
            run: cut::split_n,
        },
        Builtin { name: "strlen", parameters: &[required("v")], run: find::strlen },
        Builtin {
            name: "substring",
            parameters: &[required("v"), required("start"), required("end")],
            run: cut::substring,
        },
        Builtin { name: "title", parameters: &[required("v")], run: change::title },
        Builtin { name: "toLower", parameters: &[required("v")], run: change::to_lower },
        Builtin { name: "toTitle", parameters: &[required("v")], run: change::to_title },
        Builtin { name: "toUpper", parameters: &[required("v")], run: change::to_upper },
        Builtin { name: "trim", parameters: &[required("v"), required("cutset")], run: cut::trim },
        Builtin { name: "trimLeft", parameters: &[required("v"), required("cutset")], run: cut::trim_left },
        Builtin {
            name: "trimPrefix",
            parameters: &[required("v"), required("prefix")],
            run: cut::trim_prefix,
        },
        Builtin { name: "trimRight", parameters: &[required("v"), required("cutset")], run: cut::trim_right },
        Builtin { name: "trimSpace", parameters: &[required("v")], run: cut::trim_space },
        Builtin {
            name: "trimSuffix",
            parameters: &[required("v"), required("suffix")],
            run: cut::trim_suffix,
        },
    ],
    constants: no_constants,
    text: "",
};

/// `v` and another text.
fn two(call: &Call<'_, '_>, other: &str) -> Result<(Arc<str>, Arc<str>), Error> {
    Ok((call.string("v")?, call.string(other)?))
}

/// Refuses to make a text that is too long, before it is made, and counts long ones.
fn check_length(call: &mut Call<'_, '_>, bytes: Option<usize>) -> Result<(), Error> {
    match bytes {
        Some(bytes) if bytes <= TEXT_BYTES_MAX => call.context.keep(bytes),
        _ => Err(call.error(format!("the text would be longer than {TEXT_BYTES_MAX} bytes"))),
    }
}
