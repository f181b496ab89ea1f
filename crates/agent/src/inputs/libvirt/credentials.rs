//! User and password, for daemons that ask for them (SASL over TCP and TLS, and libvirt's own test driver).

use std::ffi::{c_int, c_uint, c_void};
use std::fmt;

use virt::connect::Connect;
use virt::error::Error;
use virt::sys;

/// What to answer to a daemon that asks.
#[derive(Clone, Default)]
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The questions that can be answered. A daemon that asks another one refuses by itself.
const ANSWERED: [sys::virConnectCredentialType; 4] =
    [sys::VIR_CRED_USERNAME, sys::VIR_CRED_AUTHNAME, sys::VIR_CRED_PASSPHRASE, sys::VIR_CRED_NOECHOPROMPT];

impl Credentials {
    pub(super) fn is_empty(&self) -> bool {
        self.username.is_none() && self.password.is_none()
    }

    /// Connects for reading only and answers what is asked.
    pub(super) fn open_read_only(&self, uri: &str) -> Result<Connect, Error> {
        if self.is_empty() {
            return Connect::open_read_only(Some(uri));
        }
        let mut types = ANSWERED.map(c_uint::cast_signed);
        // As for all calls, a URI with a zero byte is one libvirt has never heard of.
        let uri = std::ffi::CString::new(uri).unwrap_or_default();
        let mut auth = sys::virConnectAuth {
            credtype: types.as_mut_ptr(),
            ncredtype: c_uint::try_from(types.len()).unwrap_or(0),
            cb: Some(answer),
            cbdata: std::ptr::from_ref(self).cast_mut().cast(),
        };
        // SAFETY: the URI ends with a zero; `auth`, the types and `self` outlive the call, and libvirt calls back only
        // during it. The pointer it returns is null or a connection that nobody else owns.
        unsafe {
            let connect = sys::virConnectOpenAuth(uri.as_ptr(), &raw mut auth, sys::VIR_CONNECT_RO);
            if connect.is_null() { Err(Error::last_error()) } else { Ok(Connect::from_ptr(connect)) }
        }
    }

    fn answer_to(&self, question: c_int) -> Option<&str> {
        match question.cast_unsigned() {
            sys::VIR_CRED_USERNAME | sys::VIR_CRED_AUTHNAME => self.username.as_deref(),
            sys::VIR_CRED_PASSPHRASE | sys::VIR_CRED_NOECHOPROMPT => self.password.as_deref(),
            _ => None,
        }
    }
}

/// libvirt's callback: answers all questions, or fails.
///
/// # Safety
/// `questions` has `count` entries, and `credentials` is what `open_read_only` gave.
unsafe extern "C" fn answer(
    questions: sys::virConnectCredentialPtr,
    count: c_uint,
    credentials: *mut c_void,
) -> c_int {
    if questions.is_null() || credentials.is_null() {
        return -1;
    }
    // SAFETY: see above; `Credentials` is only read.
    let (questions, credentials) = unsafe {
        let count = usize::try_from(count).unwrap_or(0);
        (std::slice::from_raw_parts_mut(questions, count), &*credentials.cast::<Credentials>())
    };
    for question in questions {
        let Some(text) = credentials.answer_to(question.type_) else { return -1 };
        // SAFETY: libvirt frees the copy with free(), so that it has to come from malloc().
        let copy = unsafe { libc::malloc(text.len() + 1) }.cast::<u8>();
        if copy.is_null() {
            return -1;
        }
        // SAFETY: the copy has room for the text and the zero after it.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), copy, text.len());
            copy.add(text.len()).write(0);
        }
        question.result = copy.cast();
        question.resultlen = c_uint::try_from(text.len()).unwrap_or(0);
    }
    0
}
