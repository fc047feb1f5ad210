// Colours of the pictures: levels from silence to loud. The dark ones are those of the PNGs
// that the server writes (png.py); on light paper it is ink instead of embers.

const DARK = [
  [0, [12, 10, 32]], [64, [48, 20, 92]], [112, [122, 31, 115]],
  [160, [206, 66, 87]], [208, [250, 145, 70]], [255, [252, 236, 170]],
];
const LIGHT = [
  [0, [250, 247, 242]], [70, [236, 217, 214]], [130, [216, 150, 160]],
  [180, [168, 66, 110]], [220, [96, 30, 94]], [255, [38, 14, 58]],
];

function table(stops) {
  const colours = new Uint32Array(256);
  for (let i = 1; i < stops.length; i++) {
    const [[low, from], [high, to]] = [stops[i - 1], stops[i]];
    for (let level = low; level <= high; level++) {
      const share = (level - low) / (high - low);
      const [r, g, b] = from.map((value, channel) => Math.round(value + share * (to[channel] - value)));
      colours[level] = (255 << 24) | (b << 16) | (g << 8) | r; // little-endian RGBA
    }
  }
  return colours;
}

const tables = { dark: table(DARK), light: table(LIGHT) };
export const colours = (isDark) => (isDark ? tables.dark : tables.light);

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
