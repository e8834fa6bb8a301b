//! How lines are cut out of what arrives, whatever pieces it arrives in.

use proptest::prelude::*;

use super::*;

/// Lines as owned values, so that they can be kept while reading goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Owned {
    Whole(Vec<u8>, Ending),
    TooLong(Vec<u8>, Ending),
}

fn owned(line: Line<'_>) -> Owned {
    match line {
        Line::Whole(text, ending) => Owned::Whole(text.to_vec(), ending),
        Line::TooLong(head, ending) => Owned::TooLong(head.to_vec(), ending),
    }
}

/// The first complete line, and what is left after it.
fn first(buffer: &mut LineBuffer) -> Option<(Owned, usize)> {
    let mut lines = buffer.lines();
    let line = lines.next().map(owned)?;
    Some((line, lines.left()))
}

/// Feeds `input` in pieces of the lengths `pieces` cycles through.
fn lines_of(input: &[u8], limit: usize, pieces: &[usize]) -> Vec<Owned> {
    let mut buffer = LineBuffer::new(limit);
    let mut lines = Vec::new();
    let mut rest = input;
    for &piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let space = buffer.space();
        let count = piece.min(space.len()).min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        buffer.filled(count);
        rest = &rest[count..];
        if piece % 2 == 0 {
            lines.extend(buffer.take_lines().map(owned));
        } else {
            // One by one, as by a reader that stops after each.
            while let Some((line, left)) = first(&mut buffer) {
                lines.push(line);
                buffer.consume(left);
            }
        }
        assert!(buffer.bytes.len() <= 2 * READ_BYTES_MAX + limit + 1, "memory is bounded");
    }
    lines.extend(buffer.last_line().map(owned));
    assert!(!buffer.is_mid_line());
    lines
}

/// The rules, stated over the whole input at once.
fn expected(input: &[u8], limit: usize) -> Vec<Owned> {
    let mut pieces: Vec<&[u8]> = input.split_inclusive(|&byte| byte == b'\n').collect();
    pieces.retain(|piece| !piece.is_empty());
    pieces
        .into_iter()
        .map(|piece| {
            let (text, ending) = match (piece.strip_suffix(b"\r\n"), piece.strip_suffix(b"\n")) {
                (Some(text), _) => (text, Ending::CrLf),
                (None, Some(text)) => (text, Ending::Lf),
                (None, None) => (piece, Ending::Lf),
            };
            if text.len() > limit {
                Owned::TooLong(text[..HEAD_BYTES].to_vec(), ending)
            } else {
                Owned::Whole(text.to_vec(), ending)
            }
        })
        .collect()
}

#[test]
fn limit_holds_at_its_edge_with_either_terminator() {
    for (length, terminator) in
        [(64, "\n"), (65, "\n"), (64, "\r\n"), (65, "\r\n"), (64, ""), (65, ""), (66, "\r\n")]
    {
        let mut input = vec![b'x'; length];
        input.extend_from_slice(terminator.as_bytes());
        for piece in [1, 64, 65, 66, 1000] {
            assert_eq!(
                lines_of(&input, 64, &[piece]),
                expected(&input, 64),
                "{length} {terminator:?} by {piece}"
            );
        }
    }
}

#[test]
fn room_grows_with_full_reads_and_is_given_back() {
    let mut buffer = LineBuffer::new(64);
    for _ in 0..20 {
        let room = buffer.space().len();
        buffer.space().fill(b'\n');
        buffer.filled(room);
        assert_eq!(buffer.take_lines().count(), room);
    }
    assert_eq!(buffer.space().len(), READ_BYTES_MAX);
    buffer.space()[..3].copy_from_slice(b"abc");
    buffer.filled(3);
    assert!(buffer.is_grown());
    buffer.shrink();
    assert!(!buffer.is_grown());
    assert_eq!(buffer.last_line(), Some(Line::Whole(b"abc", Ending::Lf)));
}

#[test]
fn line_that_comes_byte_by_byte_holds_twice_its_length_and_not_more() {
    let mut buffer = LineBuffer::new(16 * 1024);
    for _ in 0..4 {
        let room = buffer.space().len();
        buffer.space().fill(b'\n');
        buffer.filled(room);
        buffer.take_lines();
    }
    buffer.shrink();
    let mut times_grown = 0;
    for length in 1..=16 * 1024 {
        buffer.space()[0] = b'x';
        buffer.filled(1);
        assert_eq!(buffer.take_lines().count(), 0);
        if buffer.is_grown() {
            buffer.shrink();
            times_grown += 1;
        }
        assert!(buffer.capacity() <= 2 * (length + SPACE_BYTES_MIN), "{} for {length}", buffer.capacity());
        assert_eq!(buffer.begun(), length);
    }
    // To shrink and grow again with each byte would be work that a client can cause at will.
    assert!(times_grown <= 16, "{times_grown} times");
}

#[test]
fn what_is_wiped_is_nowhere_in_the_buffer_and_what_follows_stays() {
    let mut buffer = LineBuffer::new(64);
    for piece in [&b"first\nsec"[..], b"ret\nlast"] {
        buffer.space()[..piece.len()].copy_from_slice(piece);
        buffer.filled(piece.len());
        assert_eq!(buffer.take_lines().count(), 1);
    }
    buffer.wipe();
    assert!(!buffer.bytes.windows(3).any(|three| three == b"sec" || three == b"ret"));
    assert_eq!(buffer.last_line(), Some(Line::Whole(b"last", Ending::Lf)));
}

#[test]
fn too_long_line_may_be_read_on_without_asking_for_lines() {
    let mut buffer = LineBuffer::new(64);
    for _ in 0..3 {
        buffer.space()[..100].fill(b'x');
        buffer.filled(100);
    }
    buffer.space()[0] = b'\n';
    buffer.filled(1);
    let lines: Vec<_> = buffer.take_lines().map(owned).collect();
    assert_eq!(lines, [Owned::TooLong(vec![b'x'; HEAD_BYTES], Ending::Lf)]);
}

proptest! {
    #[test]
    fn lines_do_not_depend_on_how_the_bytes_arrive(
        input in prop::collection::vec(
            prop_oneof![
                Just(b"\n".to_vec()),
                Just(b"\r\n".to_vec()),
                Just(b"\r".to_vec()),
                prop::collection::vec(any::<u8>(), 0..20),
                (60_usize..70).prop_map(|length| vec![b'a'; length]),
                Just(vec![b'b'; 3000]),
            ],
            0..20,
        ),
        pieces in prop::collection::vec(1_usize..200, 1..8),
    ) {
        let input = input.concat();
        prop_assert_eq!(lines_of(&input, 64, &pieces), expected(&input, 64));
    }
}
