//! Kafka's wire format, in the versions of its requests that have fixed fields: big-endian numbers, texts and lists with
//! their lengths before them. A length is believed only as far as there are bytes.

/// What is being written.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn boolean(&mut self, value: bool) -> &mut Self {
        self.0.push(u8::from(value));
        self
    }

    pub(super) fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Names in Kafka are shorter than 32 KiB; what is not is cut, and the broker refuses it.
    pub(super) fn string(&mut self, text: &str) -> &mut Self {
        let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
        self.i16(length);
        self.0.extend_from_slice(&text.as_bytes()[..length.unsigned_abs() as usize]);
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.i32(i32::try_from(items.len()).unwrap_or(i32::MAX));
        for item in items {
            each(self, item);
        }
        self
    }
}

/// What is being read.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

/// The answer ends too early, or holds what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

pub(super) type Read<T> = Result<T, Malformed>;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    pub(super) fn boolean(&mut self) -> Read<bool> {
        Ok(self.array::<1>()? != [0])
    }

    pub(super) fn i16(&mut self) -> Read<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Read<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Read<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// A text, or none.
    pub(super) fn nullable(&mut self) -> Read<Option<String>> {
        let length = self.i16()?;
        if length < 0 {
            return Ok(None);
        }
        let bytes = self.take(length.unsigned_abs() as usize)?;
        Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
    }

    pub(super) fn string(&mut self) -> Read<String> {
        Ok(self.nullable()?.unwrap_or_default())
    }

    pub(super) fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = self.i32()?;
        self.take(usize::try_from(length).unwrap_or(0))
    }

    /// A list; none is an empty one.
    pub(super) fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let length = usize::try_from(self.i32()?).unwrap_or(0);
        // Every item is a byte at least, so this is no more than what was received.
        if length > self.0.len() {
            return Err(Malformed);
        }
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(each(self)?);
        }
        Ok(items)
    }
}
