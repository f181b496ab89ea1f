//! The two layouts of tables: columns filled up with tabs, as `show` has them, and with spaces, as `show-shards` has.

/// Columns never stand closer than this.
const GAP: usize = 2;
/// Where tabs stop, and the narrowest column between tabs.
const TAB: usize = 8;

/// A title, a line under it, and columns filled up with tabs to stops of eight. Ends with a line feed.
pub(crate) fn with_tabs(title: &str, header: &[&str], rows: &[Vec<String>]) -> String {
    render(
        title,
        header,
        rows,
        |width| (width + GAP).max(TAB).next_multiple_of(TAB),
        |gap| "\t".repeat(gap.div_ceil(TAB)),
    )
}

/// The same with spaces, as many as are needed.
pub(crate) fn with_spaces(title: &str, header: &[&str], rows: &[Vec<String>]) -> String {
    render(title, header, rows, |width| width + GAP, |gap| " ".repeat(gap))
}

fn render(
    title: &str,
    header: &[&str],
    rows: &[Vec<String>],
    column_width: impl Fn(usize) -> usize,
    filler: impl Fn(usize) -> String,
) -> String {
    let mut text = String::new();
    if !title.is_empty() {
        text.push_str(title);
        text.push_str("\n==========\n");
    }
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| column_width(lines.iter().map(|line| width(line, column)).max().unwrap_or(0)))
        .collect();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < line.len() {
                text.push_str(&filler(widths[column] - width(line, column)));
            }
        }
        text.push('\n');
    }
    text
}

fn width(line: &[String], column: usize) -> usize {
    line.get(column).map_or(0, |cell| cell.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect()
    }

    #[test]
    fn tabs_fill_to_stops_of_eight() {
        let rows = rows(&[&["4", "d1:8088", "1.8"], &["10", "a-longer-name:8088", ""]]);
        assert_eq!(
            with_tabs("T", &["ID", "TCP Address", "Version"], &rows),
            // 18 characters and a gap of 2 make a column of 24: three stops.
            "T\n==========\nID\tTCP Address\t\tVersion\n4\td1:8088\t\t\t1.8\n10\ta-longer-name:8088\t\n"
        );
    }

    #[test]
    fn a_cell_that_ends_at_a_stop_gets_a_whole_tab() {
        let rows = rows(&[&["12345678", "x"]]);
        assert_eq!(with_tabs("", &["ID", "B"], &rows), "ID\t\tB\n12345678\tx\n");
    }

    #[test]
    fn spaces_leave_two() {
        let rows = rows(&[&["1", "telegraf", "x"], &["10", "é", "longer"]]);
        assert_eq!(
            with_spaces("Shards", &["ID", "DB", "Owners"], &rows),
            "Shards\n==========\nID  DB        Owners\n1   telegraf  x\n10  é         longer\n"
        );
    }
}
