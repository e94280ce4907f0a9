//! The page's calculations, run in Node: rates, quantiles, and number formats.

use std::process::Command;

const SCRIPT: &str = r#"
    const { buckets, quantile, rate, total, write } = await import(process.argv[1]);
    const at = (at, joins, room, other = []) => ({
        at, counters: { joins }, channels: { Room: { handle_in: room }, Other: { handle_in: other } },
    });
    const [before, now] = [at(1000, 5, [[0, 4], [2, 1]]), at(3000, 9, [[0, 6], [1, 97], [2, 2]], [[2, 1]])];
    const joins = (snapshot) => snapshot.counters.joins;
    const bounds = [0.001, 0.01, 0.1];
    const all = buckets(before, now, "handle_in");
    const room = buckets(before, now, "handle_in", "Room");
    console.log(JSON.stringify([
        rate(before, now, joins), rate(now, { ...now, at: 4000, counters: { joins: 1 } }, joins),
        total(all), total(room), quantile(all, bounds, 0.5), quantile(all, bounds, 0.99), quantile(room, bounds, 0.99),
        quantile(new Map(), bounds, 0.99), quantile(new Map([[3, 1]]), bounds, 0.5),
    ]));
    console.log([
        ...[null, 0, 0.5, 12, 2000, 12345, 2e6].map(write.count),
        ...[0, 999, 1536, 20 * 1024 * 1024].map(write.bytes),
        ...[null, 0.00004, 0.0051, 0.25, 12].map(write.seconds),
    ].join("|"));
"#;

#[test]
fn rates_and_quantiles_are_calculated_from_differences_and_formatted() {
    let file = concat!("file://", env!("CARGO_MANIFEST_DIR"), "/assets/figure.js");
    let node = Command::new("node").args(["--input-type=module", "-e", SCRIPT, file]).output();
    // bin/test and bin/run install Node.
    let output = node.expect("this test needs Node");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // A count that decreased has no rate, since the server was restarted.
    assert_eq!(lines[0], "[2,null,101,100,0.01,0.1,0.01,null,0.1]");
    assert_eq!(lines[1], "–|0|0.5|12|2,000|12.3 k|2 M|0 B|999 B|1.5 KB|20 MB|–|40 µs|5.1 ms|250 ms|12 s");
}
