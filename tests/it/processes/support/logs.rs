//! Reading a node's log: what a well-formed line is, and the traffic in it. Written apart from the code that writes the
//! log, so that neither can be wrong with the other.

/// Whether a line is an event, traffic, or more traffic of the same batch; printable ASCII throughout.
pub(crate) fn is_well_formed(line: &str) -> bool {
    let rest = without_time(line);
    let is_event =
        rest.is_some_and(|rest| ["INFO  ", "WARN  ", "ERROR "].iter().any(|l| rest.starts_with(l)));
    let is_traffic = traffic(line).is_some();
    line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && (is_event || is_traffic)
}

/// Of a traffic line: the connection, the direction and the text.
pub(crate) fn traffic(line: &str) -> Option<(&str, char, &str)> {
    let (connection, rest) = without_time(line).unwrap_or(line).strip_prefix('#')?.split_once(' ')?;
    let is_number = !connection.is_empty() && connection.bytes().all(|byte| byte.is_ascii_digit());
    let (direction, text) = rest.split_once(' ')?;
    let direction =
        ['<', '>'].into_iter().find(|&known| direction.len() == 1 && direction.starts_with(known));
    is_number.then_some((connection, direction?, text))
}

/// The line after `2026-11-21T04:09:12.123456Z `.
fn without_time(line: &str) -> Option<&str> {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd.ddddddZ ";
    let (time, rest) = line.split_at_checked(SHAPE.len())?;
    let fits = |(byte, &shape): (u8, &u8)| if shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
    time.bytes().zip(SHAPE).all(fits).then_some(rest)
}

/// The bytes that a text of the log stands for.
pub(crate) fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap() as u8;
                bytes.push(digit(high) * 16 + digit(low));
                after
            }
            _ => {
                bytes.push(first);
                after
            }
        };
    }
    bytes
}
