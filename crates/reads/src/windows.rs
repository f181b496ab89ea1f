//! Statistics by windows, of many series and fields, as they travel and as they are read: column by column.
//!
//! Fields of a row share its time, and series of a measurement mostly their times too: what windows hold how many values is
//! then written once, and kept once.

use skywatch_model::{FieldType, FieldValue, TimeRange};
use skywatch_storage::{
    Sum, WantedStats, WindowPoint, WindowStats,
    wire::{Malformed, Reader, put_bytes, put_signed, put_varint},
};

use crate::wire::type_of;

/// What an owner knows of one field in one window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    /// All values have their times in here.
    pub(crate) times: TimeRange,
    pub(crate) field_type: FieldType,
    /// At least 1.
    pub(crate) count: u64,
    pub(crate) sum: Sum,
    /// Where any of them is wanted.
    pub(crate) points: Option<Box<Points>>,
}

/// Single values of a window, those that are wanted.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Points {
    pub(crate) min: WindowPoint,
    pub(crate) max: WindowPoint,
    pub(crate) first: WindowPoint,
    pub(crate) last: WindowPoint,
}

/// Added to the number of the type: times and counts are those of the field before.
const REPEATED: u8 = 0x80;
/// Added to the number of the type: integers take as many bytes as they need.
const SHORT: u8 = 0x40;

/// What whoever asked can read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Readable {
    /// [`REPEATED`].
    pub(crate) repeats: bool,
    /// [`SHORT`].
    pub(crate) short: bool,
}

type PointOf = fn(&Points) -> &WindowPoint;

/// Writes windows of field after field.
#[derive(Debug)]
pub(crate) struct Writer {
    readable: Readable,
    /// Those of the last field that had any.
    before: Vec<(TimeRange, u64)>,
}

impl Writer {
    pub(crate) const fn new(readable: Readable) -> Self {
        Self { readable, before: Vec::new() }
    }

    /// Appends one field's statistics.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, windows: &[Window], wanted: WantedStats) {
        put_varint(out, windows.len() as u64);
        let Some(first) = windows.first() else { return };
        let Readable { repeats, short } = self.readable;
        let is_repeated = repeats
            && windows.iter().map(|window| (window.times, window.count)).eq(self.before.iter().copied());
        let kind = first.field_type as u8 | if short { SHORT } else { 0 };
        if is_repeated {
            out.push(kind | REPEATED);
        } else {
            out.push(kind);
            self.put_times(out, windows);
        }
        if wanted.sum {
            windows.iter().for_each(|window| match window.sum {
                Sum::Float(sum) => out.extend(sum.to_bits().to_le_bytes()),
                Sum::Integer(sum) => put_integer(out, sum, short),
                Sum::Unsigned(sum) => put_unsigned(out, sum, short),
                Sum::None => put_unsigned(out, 0, short),
            });
        }
        let points: [(bool, PointOf); 4] = [
            (wanted.min, |points| &points.min),
            (wanted.max, |points| &points.max),
            (wanted.first, |points| &points.first),
            (wanted.last, |points| &points.last),
        ];
        for (_, of) in points.iter().filter(|(is_wanted, _)| *is_wanted) {
            for window in windows {
                let point = window.points.as_deref().and_then(|points| of(points).as_ref());
                put_point(out, window.times.start, point, short);
            }
        }
    }

    fn put_times(&mut self, out: &mut Vec<u8>, windows: &[Window]) {
        let mut previous = 0i64;
        for window in windows {
            put_signed(out, window.times.start.wrapping_sub(previous));
            put_varint(out, window.times.end.abs_diff(window.times.start));
            previous = window.times.start;
        }
        windows.iter().for_each(|window| put_varint(out, window.count));
        if self.readable.repeats {
            self.before.clear();
            self.before.extend(windows.iter().map(|window| (window.times, window.count)));
        }
    }
}

fn put_integer(out: &mut Vec<u8>, value: i64, short: bool) {
    if short { put_signed(out, value) } else { out.extend(value.to_le_bytes()) }
}

fn put_unsigned(out: &mut Vec<u8>, value: u64, short: bool) {
    if short { put_varint(out, value) } else { out.extend(value.to_le_bytes()) }
}

fn take_integer(reader: &mut Reader<'_>, short: bool) -> Result<i64, Malformed> {
    if short { reader.signed() } else { reader.u64().map(|word| word as i64) }
}

fn take_unsigned(reader: &mut Reader<'_>, short: bool) -> Result<u64, Malformed> {
    if short { reader.varint() } else { reader.u64() }
}

fn put_point(out: &mut Vec<u8>, start: i64, point: Option<&(i64, FieldValue)>, short: bool) {
    let Some((time, value)) = point else { return out.push(0) };
    out.push(1);
    put_signed(out, time.wrapping_sub(start));
    match value {
        FieldValue::Float(value) => out.extend(value.to_bits().to_le_bytes()),
        FieldValue::Integer(value) => put_integer(out, *value, short),
        FieldValue::Unsigned(value) => put_unsigned(out, *value, short),
        FieldValue::String(value) => put_bytes(out, value.as_bytes()),
        FieldValue::Boolean(value) => out.push(u8::from(*value)),
    }
}

fn take_point(
    reader: &mut Reader<'_>,
    (field_type, short): (FieldType, bool),
    start: i64,
) -> Result<WindowPoint, Malformed> {
    if reader.u8()? == 0 {
        return Ok(None);
    }
    let time = start.wrapping_add(reader.signed()?);
    let value = match field_type {
        FieldType::Float => FieldValue::Float(f64::from_bits(reader.u64()?)),
        FieldType::Integer => FieldValue::Integer(take_integer(reader, short)?),
        FieldType::Unsigned => FieldValue::Unsigned(take_unsigned(reader, short)?),
        FieldType::String => FieldValue::String(reader.str()?.into()),
        FieldType::Boolean => FieldValue::Boolean(reader.u8()? != 0),
    };
    Ok(Some((time, value)))
}

/// Windows that were read, of series after series, and of each of them field after field.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    times: Vec<TimeRange>,
    counts: Vec<u64>,
    sums: Vec<Sum>,
    points: Vec<WindowPoint>,
    fields: Vec<Field>,
    /// Where the times of the last field that had any are, and how many.
    before: Option<(u32, u32)>,
}

/// Where the windows of one field are.
#[derive(Debug, Clone, Copy)]
struct Field {
    field_type: FieldType,
    len: u32,
    /// Of the times and counts.
    at: u32,
    /// Of the sums, if there are any.
    sums: Option<u32>,
    /// Of smallest, greatest, earliest and latest values, where there are any.
    points: [Option<u32>; 4],
}

const TOO_MANY: Malformed = Malformed("more windows than can be");

impl Windows {
    /// Reads one field's statistics.
    pub(crate) fn take(&mut self, reader: &mut Reader<'_>, wanted: WantedStats) -> Result<(), Malformed> {
        let count = reader.varint_u32()?;
        let mut field =
            Field { field_type: FieldType::Float, len: count, at: 0, sums: None, points: [None; 4] };
        if count == 0 {
            self.fields.push(field);
            return Ok(());
        }
        let kind = reader.u8()?;
        let short = kind & SHORT != 0;
        field.field_type = type_of(kind & !(REPEATED | SHORT))?;
        field.at = match self.before {
            _ if kind & REPEATED == 0 => self.take_times(reader, count)?,
            Some((at, len)) if len == count => at,
            _ => return Err(Malformed("windows as of a field that has others")),
        };
        self.before = Some((field.at, count));
        let end = |len: usize| u32::try_from(len).map_err(|_| TOO_MANY);
        if wanted.sum {
            field.sums = Some(end(self.sums.len())?);
            for _ in 0..count {
                self.sums.push(match field.field_type {
                    FieldType::Float => Sum::Float(f64::from_bits(reader.u64()?)),
                    FieldType::Integer => Sum::Integer(take_integer(reader, short)?),
                    FieldType::Unsigned => Sum::Unsigned(take_unsigned(reader, short)?),
                    FieldType::String | FieldType::Boolean => {
                        take_unsigned(reader, short)?;
                        Sum::None
                    }
                });
            }
        }
        let are_wanted = [wanted.min, wanted.max, wanted.first, wanted.last];
        for (_, place) in are_wanted.into_iter().zip(&mut field.points).filter(|(is_wanted, _)| *is_wanted) {
            *place = Some(end(self.points.len())?);
            for window in field.at..field.at + count {
                let start = self.times[window as usize].start;
                self.points.push(take_point(reader, (field.field_type, short), start)?);
            }
        }
        self.fields.push(field);
        Ok(())
    }

    /// Where they begin.
    fn take_times(&mut self, reader: &mut Reader<'_>, count: u32) -> Result<u32, Malformed> {
        let at = self.times.len();
        // A number is a byte or more.
        if count as usize > reader.remaining() / 3 || at + count as usize > u32::MAX as usize {
            return Err(TOO_MANY);
        }
        let mut previous = 0i64;
        for _ in 0..count {
            previous = previous.wrapping_add(reader.signed()?);
            let end = previous.checked_add_unsigned(reader.varint()?).ok_or(Malformed("time overflows"))?;
            self.times.push(TimeRange::new(previous, end));
        }
        if !self.times[at..].is_sorted_by(|a, b| a.end < b.start) {
            return Err(Malformed("windows that are not in order"));
        }
        for _ in 0..count {
            self.counts.push(reader.varint()?);
        }
        Ok(at as u32)
    }

    /// What is known of a field, counted over all series.
    pub(crate) fn field(&self, index: usize) -> Option<WindowStats<'_>> {
        let Field { field_type, len, at, sums, points } = *self.fields.get(index)?;
        let span = |at: u32| at as usize..at as usize + len as usize;
        let point = |place: Option<u32>| place.map_or(&[][..], |at| &self.points[span(at)]);
        Some(WindowStats {
            field_type,
            times: &self.times[span(at)],
            counts: &self.counts[span(at)],
            sums: sums.map_or(&[], |at| &self.sums[span(at)]),
            min: point(points[0]),
            max: point(points[1]),
            first: point(points[2]),
            last: point(points[3]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, count: u64, sum: f64) -> Window {
        Window {
            times: TimeRange::new(start, start + 3),
            field_type: FieldType::Float,
            count,
            sum: Sum::Float(sum),
            points: Some(Box::new(Points {
                min: Some((start, FieldValue::Float(sum - 1.0))),
                max: None,
                first: Some((start, FieldValue::Float(sum))),
                last: Some((start + 3, FieldValue::Float(-sum))),
            })),
        }
    }

    const SUM: WantedStats =
        WantedStats { sum: true, min: false, max: false, first: false, last: false, untimed: false };
    const ALL: WantedStats =
        WantedStats { sum: true, min: true, max: true, first: true, last: true, untimed: false };

    fn is_same(read: WindowStats<'_>, written: &[Window], wanted: WantedStats) {
        let points = |is_wanted: bool, of: PointOf| -> Vec<WindowPoint> {
            let of = |window: &Window| of(window.points.as_ref().expect("there are")).clone();
            written.iter().filter(|_| is_wanted).map(of).collect()
        };
        assert!(read.times.iter().copied().eq(written.iter().map(|window| window.times)));
        assert!(read.counts.iter().copied().eq(written.iter().map(|window| window.count)));
        let sums: Vec<Sum> = written.iter().filter(|_| wanted.sum).map(|window| window.sum).collect();
        assert_eq!(read.sums, sums);
        assert_eq!(read.min, points(wanted.min, |points| &points.min));
        assert_eq!(read.max, points(wanted.max, |points| &points.max));
        assert_eq!(read.first, points(wanted.first, |points| &points.first));
        assert_eq!(read.last, points(wanted.last, |points| &points.last));
    }

    #[test]
    fn windows_are_read_as_written_whether_they_repeat_or_not() {
        let hour = |sum: f64| vec![window(0, 5, sum), window(10, 2, sum + 0.5)];
        let all = [
            hour(1.0),
            Vec::new(),
            hour(2.0),
            vec![window(0, 5, 3.0)],
            vec![window(0, 4, 3.0)],
            hour(4.0),
            hour(-0.0),
        ];
        for wanted in [SUM, ALL, WantedStats::default()] {
            let mut sizes = Vec::new();
            for repeats in [false, true] {
                let readable = Readable { repeats, short: repeats };
                let (mut writer, mut out) = (Writer::new(readable), Vec::new());
                all.iter().for_each(|windows| writer.put(&mut out, windows, wanted));
                let (mut read, mut reader) = (Windows::default(), Reader::new(&out));
                all.iter().for_each(|_| read.take(&mut reader, wanted).expect("it was written here"));
                assert_eq!((reader.finish(), read.fields.len()), (Ok(()), all.len()));
                for (index, written) in all.iter().enumerate() {
                    is_same(read.field(index).expect("it is there"), written, wanted);
                }
                for cut in 0..out.len() {
                    let (mut read, mut reader) = (Windows::default(), Reader::new(&out[..cut]));
                    let taken = all.iter().try_for_each(|_| read.take(&mut reader, wanted));
                    assert!(taken.is_err(), "cut to {cut} bytes");
                }
                sizes.push(out.len());
            }
            assert!(sizes[1] < sizes[0], "{sizes:?}: two fields repeat");
        }
        assert!(Windows::default().field(0).is_none());
    }

    #[test]
    fn integers_take_as_many_bytes_as_they_need_for_those_who_can_read_them() {
        let of = |field_type, sum, value: FieldValue| Window {
            field_type,
            sum,
            points: Some(Box::new(Points { max: Some((1, value)), ..Points::default() })),
            ..window(0, 5, 0.0)
        };
        let integer = |sum| of(FieldType::Integer, Sum::Integer(sum), FieldValue::Integer(sum));
        let unsigned = |sum| of(FieldType::Unsigned, Sum::Unsigned(sum), FieldValue::Unsigned(sum));
        let text = of(FieldType::String, Sum::None, FieldValue::String("a".into()));
        let windows = [integer(-3), integer(i64::MIN), unsigned(7), unsigned(u64::MAX), text];
        let wanted = WantedStats { sum: true, max: true, ..WantedStats::default() };
        let mut sizes = Vec::new();
        for short in [false, true] {
            for window in &windows {
                let mut out = Vec::new();
                let window = std::slice::from_ref(window);
                Writer::new(Readable { repeats: false, short }).put(&mut out, window, wanted);
                let (mut read, mut reader) = (Windows::default(), Reader::new(&out));
                read.take(&mut reader, wanted).expect("it was written here");
                assert_eq!(reader.finish(), Ok(()));
                is_same(read.field(0).expect("it is there"), window, wanted);
                sizes.push(out.len());
            }
        }
        assert_eq!((sizes[0] - sizes[5], sizes[2] - sizes[7]), (14, 14), "{sizes:?}");
    }

    #[test]
    fn what_is_damaged_is_refused_or_means_something() {
        let (mut writer, mut out) = (Writer::new(Readable { repeats: true, short: true }), Vec::new());
        for sum in [1.0, 2.0] {
            writer.put(&mut out, &[window(0, 5, sum), window(10, 2, sum)], ALL);
        }
        for place in 0..out.len() {
            for byte in [0, 1, 2, 3, 0x7f, 0x80, 0x81, 0x84, 0xff] {
                let mut damaged = out.clone();
                damaged[place] = byte;
                let (mut read, mut reader) = (Windows::default(), Reader::new(&damaged));
                while reader.remaining() > 0 && read.take(&mut reader, ALL).is_ok() {}
                (0..read.fields.len()).for_each(|index| assert!(read.field(index).is_some()));
            }
        }
        let mut first_repeats = out.clone();
        first_repeats[1] |= REPEATED;
        assert!(
            Windows::default().take(&mut Reader::new(&first_repeats), ALL).is_err(),
            "there is none before"
        );
    }
}
