//! Go's reference layouts: taken apart into pieces, and texts read by them. Pure.

/// One part of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A text that must stand there; spaces in it stand for any number of them.
    Literal(String),
    Year,
    ShortYear,
    MonthName,
    ShortMonthName,
    Month(Digits),
    WeekdayName,
    ShortWeekdayName,
    Day(Digits),
    DayOfYear,
    Hour24,
    Hour12(Digits),
    Minute(Digits),
    Second(Digits),
    Meridiem,
    /// An abbreviation.
    Zone,
    /// `-0700` and its kind.
    Offset {
        colon: bool,
        minutes: bool,
        seconds: bool,
        z_is_utc: bool,
    },
    /// So many digits after a point or comma, or as many as there are.
    Fraction(Option<usize>),
}

/// How many digits a number has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Digits {
    Two,
    OneOrTwo,
}

const fn offset(colon: bool, minutes: bool, seconds: bool, z_is_utc: bool) -> Piece {
    Piece::Offset { colon, minutes, seconds, z_is_utc }
}

/// What each word of a layout means; a longer word stands before the shorter ones that begin like it.
const WORDS: [(&str, Piece); 34] = [
    ("January", Piece::MonthName),
    ("Jan", Piece::ShortMonthName),
    ("Monday", Piece::WeekdayName),
    ("Mon", Piece::ShortWeekdayName),
    ("MST", Piece::Zone),
    ("2006", Piece::Year),
    ("_2006", Piece::Year),
    ("__2", Piece::DayOfYear),
    ("002", Piece::DayOfYear),
    ("01", Piece::Month(Digits::Two)),
    ("02", Piece::Day(Digits::Two)),
    ("03", Piece::Hour12(Digits::Two)),
    ("04", Piece::Minute(Digits::Two)),
    ("05", Piece::Second(Digits::Two)),
    ("06", Piece::ShortYear),
    ("15", Piece::Hour24),
    ("1", Piece::Month(Digits::OneOrTwo)),
    ("_2", Piece::Day(Digits::OneOrTwo)),
    ("2", Piece::Day(Digits::OneOrTwo)),
    ("3", Piece::Hour12(Digits::OneOrTwo)),
    ("4", Piece::Minute(Digits::OneOrTwo)),
    ("5", Piece::Second(Digits::OneOrTwo)),
    ("PM", Piece::Meridiem),
    ("pm", Piece::Meridiem),
    ("-07:00:00", offset(true, true, true, false)),
    ("-07:00", offset(true, true, false, false)),
    ("-070000", offset(false, true, true, false)),
    ("-0700", offset(false, true, false, false)),
    ("-07", offset(false, false, false, false)),
    ("Z07:00:00", offset(true, true, true, true)),
    ("Z07:00", offset(true, true, false, true)),
    ("Z070000", offset(false, true, true, true)),
    ("Z0700", offset(false, true, false, true)),
    ("Z07", offset(false, false, false, true)),
];

/// The pieces of a layout; `None` if nothing in it says anything of a time.
pub(super) fn compile(layout: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let found = fraction(rest, &pieces, &literal).or_else(|| {
            WORDS.iter().find_map(|(word, piece)| Some((rest.strip_prefix(word)?, piece.clone())))
        });
        match found {
            Some((after, piece)) => {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(piece);
                rest = after;
            }
            None => {
                literal.push(first);
                rest = rest.get(first.len_utf8()..)?;
            }
        }
    }
    let says_something = !pieces.is_empty();
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    says_something.then_some(pieces)
}

/// A fraction follows the seconds: a point or comma and only zeros, or only nines.
fn fraction<'a>(rest: &'a str, pieces: &[Piece], literal: &str) -> Option<(&'a str, Piece)> {
    if !literal.is_empty() || !matches!(pieces.last(), Some(Piece::Second(_))) {
        return None;
    }
    let digits = rest.strip_prefix(['.', ','])?;
    let kind = digits.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let after = digits.trim_start_matches(kind);
    if after.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let count = digits.len() - after.len();
    Some((after, Piece::Fraction((kind == '0').then_some(count))))
}

/// What a text says of a time.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) year: Option<i16>,
    pub(super) month: i8,
    pub(super) day: i8,
    pub(super) day_of_year: Option<i64>,
    hour: i8,
    /// Whether it is after noon, where the text says so.
    is_pm: Option<bool>,
    pub(super) minute: i8,
    pub(super) second: i8,
    pub(super) nanosecond: i32,
    pub(super) offset_seconds: Option<i32>,
    pub(super) zone: Option<String>,
}

impl Fields {
    /// The hour of the day; `None` if there is no such.
    pub(super) fn hour(&self) -> Option<i8> {
        match self.is_pm {
            None => Some(self.hour),
            Some(_) if self.hour > 12 => None,
            Some(is_pm) => Some(self.hour % 12 + if is_pm { 12 } else { 0 }),
        }
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Reads a text; the error says what should stand where.
pub(super) fn parse(pieces: &[Piece], text: &str) -> Result<Fields, String> {
    let mut fields = Fields {
        year: None,
        month: 1,
        day: 1,
        day_of_year: None,
        hour: 0,
        is_pm: None,
        minute: 0,
        second: 0,
        nanosecond: 0,
        offset_seconds: None,
        zone: None,
    };
    let mut reader = Reader(text);
    for (at, piece) in pieces.iter().enumerate() {
        let before = reader.0;
        reader
            .piece(piece, pieces.get(at + 1), &mut fields)
            .ok_or_else(|| format!("{before:?} does not begin with {}", describe(piece)))?;
    }
    if reader.0.is_empty() { Ok(fields) } else { Err(format!("{:?} is left over", reader.0)) }
}

/// The text that is left to read.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn piece(&mut self, piece: &Piece, next: Option<&Piece>, fields: &mut Fields) -> Option<()> {
        match piece {
            Piece::Literal(text) => self.literal(text)?,
            Piece::Year => fields.year = Some(self.number(4, 4)?),
            Piece::ShortYear => {
                let year: i16 = self.number(2, 2)?;
                fields.year = Some(if year >= 69 { 1900 + year } else { 2000 + year });
            }
            Piece::MonthName => fields.month = self.name(&MONTHS, None)? + 1,
            Piece::ShortMonthName => fields.month = self.name(&MONTHS, Some(3))? + 1,
            Piece::WeekdayName => drop(self.name(&WEEKDAYS, None)?),
            Piece::ShortWeekdayName => drop(self.name(&WEEKDAYS, Some(3))?),
            Piece::Month(digits) => fields.month = self.two(*digits)?,
            Piece::Day(digits) => {
                if *digits == Digits::OneOrTwo {
                    self.0 = self.0.strip_prefix(' ').unwrap_or(self.0);
                }
                fields.day = self.two(*digits)?;
            }
            Piece::DayOfYear => {
                self.0 = self.0.trim_start_matches(' ');
                fields.day_of_year = Some(i64::from(self.number::<i16>(1, 3)?));
            }
            Piece::Hour24 => fields.hour = self.two(Digits::OneOrTwo)?,
            Piece::Hour12(digits) => fields.hour = self.two(*digits)?,
            Piece::Minute(digits) => fields.minute = self.two(*digits)?,
            Piece::Second(digits) => {
                fields.second = self.two(*digits)?;
                // A fraction may follow the seconds of any layout.
                let has_digits =
                    self.0.get(1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
                if !matches!(next, Some(Piece::Fraction(_))) && self.0.starts_with(['.', ',']) && has_digits {
                    fields.nanosecond = self.fraction(None)?;
                }
            }
            Piece::Meridiem => {
                let (half, rest) = self.0.split_at_checked(2)?;
                fields.is_pm = Some(match half {
                    "AM" | "am" => false,
                    "PM" | "pm" => true,
                    _ => return None,
                });
                self.0 = rest;
            }
            Piece::Zone => self.zone(fields)?,
            Piece::Offset { colon, minutes, seconds, z_is_utc } => {
                if *z_is_utc && let Some(rest) = self.0.strip_prefix('Z') {
                    self.0 = rest;
                    fields.offset_seconds = Some(0);
                } else {
                    fields.offset_seconds = Some(self.offset(*colon, *minutes, *seconds)?);
                }
            }
            Piece::Fraction(digits) => {
                if digits.is_some() || self.0.starts_with(['.', ',']) {
                    fields.nanosecond = self.fraction(*digits)?;
                }
            }
        }
        Some(())
    }

    fn literal(&mut self, text: &str) -> Option<()> {
        let mut expected = text;
        while let Some(first) = expected.chars().next() {
            if first == ' ' {
                if !self.0.is_empty() && !self.0.starts_with(' ') {
                    return None;
                }
                expected = expected.trim_start_matches(' ');
                self.0 = self.0.trim_start_matches(' ');
            } else {
                self.0 = self.0.strip_prefix(first)?;
                expected = expected.get(first.len_utf8()..)?;
            }
        }
        Some(())
    }

    /// A number of at least and at most so many digits.
    fn number<T: std::str::FromStr>(&mut self, least: usize, most: usize) -> Option<T> {
        let digits = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if digits < least {
            return None;
        }
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.parse().ok()
    }

    fn two(&mut self, digits: Digits) -> Option<i8> {
        self.number(if digits == Digits::Two { 2 } else { 1 }, 2)
    }

    /// The place of a name in a list, of which the first letters are written.
    fn name(&mut self, names: &[&'static str], letters: Option<usize>) -> Option<i8> {
        let at = names.iter().position(|name| {
            let written = letters.and_then(|letters| name.get(..letters)).unwrap_or(name);
            self.0.get(..written.len()).is_some_and(|text| text.eq_ignore_ascii_case(written))
        })?;
        let length = letters.unwrap_or(names.get(at)?.len());
        self.0 = self.0.get(length..)?;
        i8::try_from(at).ok()
    }

    /// The nanoseconds of a point or comma and digits.
    fn fraction(&mut self, digits: Option<usize>) -> Option<i32> {
        let rest = self.0.strip_prefix(['.', ','])?;
        let there = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count = digits.unwrap_or(there);
        if count == 0 || there < count {
            return None;
        }
        let (written, rest) = rest.split_at_checked(count)?;
        self.0 = rest;
        let nine = format!("{written:0<9}");
        nine.get(..9)?.parse().ok()
    }

    fn zone(&mut self, fields: &mut Fields) -> Option<()> {
        let letters = self.0.bytes().take(5).take_while(u8::is_ascii_uppercase).count();
        if letters >= 3 {
            let (name, rest) = self.0.split_at_checked(letters)?;
            self.0 = rest;
            match name {
                "UTC" | "GMT" => fields.offset_seconds = Some(0),
                _ => fields.zone = Some(name.to_owned()),
            }
            return Some(());
        }
        // Zones without an abbreviation are written as their hours.
        fields.offset_seconds = Some(self.offset(false, false, false)?);
        Some(())
    }

    fn offset(&mut self, colon: bool, minutes: bool, seconds: bool) -> Option<i32> {
        let sign = match self.0.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        self.0 = self.0.get(1..)?;
        let mut total = self.number::<i32>(2, 2)? * 3600;
        for (wanted, scale) in [(minutes, 60), (seconds, 1)] {
            if wanted {
                if colon {
                    self.0 = self.0.strip_prefix(':')?;
                }
                total += self.number::<i32>(2, 2)? * scale;
            }
        }
        Some(sign * total)
    }
}

fn describe(piece: &Piece) -> String {
    match piece {
        Piece::Literal(text) => format!("{text:?}"),
        Piece::Year => "a year of four digits".to_owned(),
        Piece::ShortYear => "a year of two digits".to_owned(),
        Piece::MonthName | Piece::ShortMonthName => "the name of a month".to_owned(),
        Piece::Month(_) => "the number of a month".to_owned(),
        Piece::WeekdayName | Piece::ShortWeekdayName => "the name of a weekday".to_owned(),
        Piece::Day(_) | Piece::DayOfYear => "a day".to_owned(),
        Piece::Hour24 | Piece::Hour12(_) => "an hour".to_owned(),
        Piece::Minute(_) => "minutes".to_owned(),
        Piece::Second(_) => "seconds".to_owned(),
        Piece::Meridiem => "AM or PM".to_owned(),
        Piece::Zone => "a zone's abbreviation".to_owned(),
        Piece::Offset { .. } => "an offset from UTC".to_owned(),
        Piece::Fraction(_) => "a fraction of a second".to_owned(),
    }
}
