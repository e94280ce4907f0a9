//! The devices that a page is shown on: the window, the colours, and the pointer.

use serde_json::{Value, json};

/// A device, in the units of CSS. Its colours are light and its pointer is a mouse, unless set otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Width of the window in pixels.
    pub width: u32,
    /// Height of the window in pixels.
    pub height: u32,
    /// Whether the user prefers dark colours.
    pub is_dark: bool,
    /// Whether the operating system replaces the colours of pages, as its high contrast mode does.
    pub has_forced_colors: bool,
    /// Whether the pointer is a finger.
    pub has_touch: bool,
}

impl Device {
    /// A small phone of 360 × 780 pixels.
    pub const PHONE: Self = Device { has_touch: true, ..Device::new(360, 780) };
    /// A tablet of 768 × 1024 pixels.
    pub const TABLET: Self = Device { has_touch: true, ..Device::new(768, 1024) };
    /// A window of 1280 × 900 pixels on a desk.
    pub const DESK: Self = Device::new(1280, 900);

    /// Creates a device with a mouse and light colours.
    pub const fn new(width: u32, height: u32) -> Self {
        Device { width, height, is_dark: false, has_forced_colors: false, has_touch: false }
    }

    /// Sets dark colours.
    pub const fn dark(self) -> Self {
        Device { is_dark: true, ..self }
    }

    /// Sets forced colours.
    pub const fn forced_colors(self) -> Self {
        Device { has_forced_colors: true, ..self }
    }

    /// Returns the commands of the DevTools protocol with their parameters.
    pub(crate) fn commands(self) -> [(&'static str, Value); 3] {
        let scheme = if self.is_dark { "dark" } else { "light" };
        let forced = if self.has_forced_colors { "active" } else { "none" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "forced-colors", "value": forced },
        ]);
        let window =
            json!({ "width": self.width, "height": self.height, "deviceScaleFactor": 1, "mobile": self.has_touch });
        [
            ("Emulation.setDeviceMetricsOverride", window),
            ("Emulation.setEmulatedMedia", json!({ "features": features })),
            ("Emulation.setTouchEmulationEnabled", json!({ "enabled": self.has_touch, "maxTouchPoints": 5 })),
        ]
    }
}
