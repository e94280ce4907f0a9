//! The style sheet: its size, and the contrasts of its colours by the formula of WCAG 2.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use bennu_page::{Files, PLAIN_CSS, shell};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// The most bytes of the compressed sheet.
const MAX_BYTES: usize = 8 * 1024;

/// The least contrasts of WCAG 2, level AA: of text, and of the border of a control.
const TEXT: f64 = 4.5;
const EDGE: f64 = 3.0;

#[tokio::test]
async fn the_compressed_sheet_is_smaller_than_8_kilobytes() {
    let app: Router = shell(Files::new().routes("/assets"));
    let request = Request::get("/assets/plain.css").header(header::ACCEPT_ENCODING, "gzip");
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    let size = response.into_body().collect().await.unwrap().to_bytes().len();
    assert!(size < MAX_BYTES, "{size} bytes");
}

#[test]
fn each_ink_has_enough_contrast_on_each_ground_that_it_is_used_on() {
    let grounds = ["page", "surface", "sunken"];
    let mut pairs: Vec<(&str, &str, f64)> = Vec::new();
    for ground in grounds {
        pairs.extend([("text", ground, TEXT), ("muted", ground, TEXT), ("edge", ground, EDGE), ("ring", ground, EDGE)]);
    }
    for (ink, soft) in
        [("good", "good-soft"), ("warn", "warn-soft"), ("bad", "bad-soft"), ("info", "info-soft"), ("hot", "hot-soft")]
    {
        pairs.extend([(ink, soft, TEXT), (ink, "surface", TEXT), (ink, "page", TEXT), ("text", soft, TEXT)]);
    }
    pairs.extend(["s1", "s2", "s3", "s4"].map(|series| (series, "surface", EDGE)));
    for app in ["hello", "store", "gym"] {
        let accents = [("on-accent", "accent", TEXT), ("accent", "surface", TEXT), ("accent", "page", TEXT)];
        for (ink, ground, least) in pairs.iter().copied().chain(accents) {
            for (scheme, is_dark) in [("light", false), ("dark", true)] {
                let contrast = contrast(colour(app, ink, is_dark), colour(app, ground, is_dark));
                assert!(contrast >= least, "{app}, {scheme}: {ink} on {ground} has {contrast:.2}, not {least}");
            }
        }
    }
}

#[test]
fn the_mixed_colours_of_the_accent_have_enough_contrast() {
    for app in ["hello", "store", "gym"] {
        for is_dark in [false, true] {
            let named = |name| colour(app, name, is_dark);
            // As the sheet mixes them: --accent-hover and --accent-soft.
            let hover = mix(named("accent"), named("text"), 0.86);
            let soft = mix(named("accent"), named("surface"), 0.12);
            for (name, contrast) in [
                ("on-accent on accent-hover", contrast(named("on-accent"), hover)),
                ("accent on accent-soft", contrast(named("accent"), soft)),
            ] {
                assert!(contrast >= TEXT, "{app}, dark {is_dark}: {name} has {contrast:.2}");
            }
        }
    }
    assert!(PLAIN_CSS.contains("color-mix(in oklab, var(--accent) 86%, var(--text))"));
    assert!(PLAIN_CSS.contains("color-mix(in oklab, var(--accent) 12%, var(--surface))"));
}

#[test]
fn the_formula_of_contrast_returns_the_known_values() {
    let rounded = |contrast: f64| (contrast * 100.0).round() / 100.0;
    assert_eq!(rounded(contrast([0, 0, 0], [255, 255, 255])), 21.0);
    assert_eq!(rounded(contrast([0x76, 0x76, 0x76], [255, 255, 255])), 4.54);
    assert_eq!(mix([255, 0, 0], [0, 0, 255], 1.0), [255, 0, 0]);
    // The middle of red and blue in OKLab, as browsers compute it.
    assert_eq!(mix([255, 0, 0], [0, 0, 255], 0.5), [140, 83, 162]);
}

type Rgb = [u8; 3];

/// Returns a token of an application's theme, in light or dark colours.
fn colour(app: &str, name: &str, is_dark: bool) -> Rgb {
    let own = format!(":root[data-app=\"{app}\"] {{");
    let theme = PLAIN_CSS.split_once(&own).map_or("", |(_, after)| after.split('}').next().unwrap());
    let declaration = format!("--{name}: light-dark(");
    let value = [theme, PLAIN_CSS].into_iter().find_map(|css| css.split_once(&declaration)).expect(&declaration).1;
    let [light, dark] = value.split(')').next().unwrap().split(',').collect::<Vec<_>>()[..] else {
        panic!("the token {name} has no two colours");
    };
    let digits = if is_dark { dark } else { light }.trim().strip_prefix('#').expect("a colour in hexadecimal digits");
    [0, 2, 4].map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
}

/// Returns the contrast of two colours, from 1 to 21.
fn contrast(one: Rgb, other: Rgb) -> f64 {
    let luminance = |colour: Rgb| {
        let [red, green, blue] = colour.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Mixes two colours in OKLab, as `color-mix` does, with this share of the first.
fn mix(one: Rgb, other: Rgb, share: f64) -> Rgb {
    let (one, other) = (oklab(one), oklab(other));
    let [l, a, b] = std::array::from_fn(|n| one[n] * share + other[n] * (1.0 - share));
    let long = (l + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let medium = (l - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let short = (l - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
    [
        4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short,
        -1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short,
        -0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701 * short,
    ]
    .map(|value| {
        let value = value.clamp(0.0, 1.0);
        let encoded = if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 };
        (encoded * 255.0).round() as u8
    })
}

fn oklab(colour: Rgb) -> [f64; 3] {
    let [red, green, blue] = colour.map(linear);
    let long = (0.412_221_470_8 * red + 0.536_332_536_3 * green + 0.051_445_992_9 * blue).cbrt();
    let medium = (0.211_903_498_2 * red + 0.680_699_545_1 * green + 0.107_396_956_6 * blue).cbrt();
    let short = (0.088_302_461_9 * red + 0.281_718_837_6 * green + 0.629_978_700_5 * blue).cbrt();
    [
        0.210_454_255_3 * long + 0.793_617_785 * medium - 0.004_072_046_8 * short,
        1.977_998_495_1 * long - 2.428_592_205 * medium + 0.450_593_709_9 * short,
        0.025_904_037_1 * long + 0.782_771_766_2 * medium - 0.808_675_766 * short,
    ]
}

fn linear(channel: u8) -> f64 {
    let value = f64::from(channel) / 255.0;
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}
