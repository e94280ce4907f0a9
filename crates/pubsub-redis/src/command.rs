//! The encoder of Redis commands: arrays of bulk strings. Pure.

/// Writes a command. Each argument is the concatenation of its pieces.
pub(crate) fn write(out: &mut Vec<u8>, arguments: &[&[&[u8]]]) {
    number(out, b'*', arguments.len());
    for pieces in arguments {
        number(out, b'$', pieces.iter().map(|piece| piece.len()).sum());
        for piece in *pieces {
            out.extend_from_slice(piece);
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn number(out: &mut Vec<u8>, kind: u8, value: usize) {
    // The largest number has 20 digits.
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        write(&mut out, &[&[b"PUBLISH"], &[b"bennu:", b"room"], &[b"{}\r\n"], &[]]);
        assert_eq!(out, b"*4\r\n$7\r\nPUBLISH\r\n$10\r\nbennu:room\r\n$4\r\n{}\r\n\r\n$0\r\n\r\n");
        let mut out = Vec::new();
        number(&mut out, b'$', usize::MAX);
        assert_eq!(out, format!("${}\r\n", usize::MAX).into_bytes());
    }
}
