// Every colour that words and lines have, and what is behind them: [what, words, contrast as WCAG 2.2 measures it].
() => {
    const parse = (text) => text.match(/[\d.]+/g).map(Number);
    const over = ([r, g, b, a = 1], under) => [r, g, b].map((value, index) => value * a + under[index] * (1 - a));
    const light = (rgb) => {
        const [r, g, b] = rgb.map((value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (one, other) => {
        const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const ground = (element) => {
        const above = [];
        for (let each = element; each; each = each.parentElement) above.unshift(parse(getComputedStyle(each).backgroundColor));
        return above.reduce((under, colour) => over(colour, under), [255, 255, 255]);
    };
    const found = [];
    for (const element of document.body.querySelectorAll("*")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility()) continue;
        const under = ground(element);
        found.push([element.className || element.tagName, element.textContent.trim().slice(0, 30),
            ratio(over(parse(getComputedStyle(element).color), under), under)]);
    }
    // What the lanes are drawn with: words on their grounds, and lines and areas on the paper.
    const style = getComputedStyle(document.documentElement);
    const named = (name) => style.getPropertyValue(`--${name}`).trim().match(/\w\w/g).map((part) => parseInt(part, 16));
    const tinted = (name, share) => over([...named(name), share], named("paper"));
    for (const tone of ["user", "soft", "cut", "full", "partial", "skipped", "text"]) {
        found.push(["canvas", `ink on a bar of ${tone}`, ratio(named("ink"), tinted(tone, 0.2))]);
        found.push(["line", tone, ratio(named(tone), named("paper"))]);
    }
    for (const tone of ["full", "partial", "skipped", "text"]) {
        found.push(["canvas", `ink on a wedge of ${tone}`, ratio(named("ink"), over([...named(tone), 0.42], tinted("soft", 0.2)))]);
    }
    for (const word of ["ink", "soft", "cut"]) found.push(["canvas", word, ratio(named(word), named("paper"))]);
    for (const item of ["m1", "m2", "m3", "m4", "told", "edge", "focus"]) found.push(["line", item, ratio(named(item), named("paper"))]);
    return found;
}
