"""Takes the screenshots of the documents, from a server of runs called digits and emoji, which takes prompts:

PYTHONPATH=tests python tests/serve/screenshots.py "http://127.0.0.1:7860/?token=…" docs/images
"""

import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from test_page import CHROMIUM, FLAGS

PROMPTS = ("red heart", "woman with red hair", "clock face", "smiling face")
PATIENCE = 600_000
"""Milliseconds for a picture."""


def shoot(page: Page, path: Path) -> None:
    """Take a screenshot, in 256 colours."""
    page.evaluate("document.activeElement.blur(), document.querySelector('#form').scrollTo(0, 0)")
    page.wait_for_timeout(1000)
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def tab(page: Page, name: str, **fields: Any) -> None:
    """Go to a tab, and fill the form."""
    page.click(f"nav a[href='#{name}']")
    page.wait_for_selector(f"nav a[href='#{name}'][aria-current]")
    if run := fields.pop("run", None):
        page.select_option("[name=run]", run)
        page.wait_for_selector("#about-run:not(:text('loading'))")
    for field, value in fields.items():
        page.fill(f"[name={field}]", str(value))


def submit(page: Page) -> None:
    """Send the form, and wait for the pictures."""
    page.click("#submit")
    page.wait_for_selector("#stage .card")
    page.wait_for_selector("#stage .card:not([data-state=queued], [data-state=running])")


def take(page: Page, folder: Path) -> None:
    """All screenshots."""
    tab(page, "generate", run="digits", number=8, seed=1)
    page.click("#labels button:text-is('3')")
    page.click("#labels button:text-is('8')")
    submit(page)
    tab(page, "generate", run="emoji", prompt="\n".join(PROMPTS), number=2, seed=5, guidance=3)
    submit(page)
    shoot(page, folder / "studio-generate.png")
    page.set_viewport_size({"width": 390, "height": 844})
    phones = [folder / f"phone-{name}.png" for name in ("generate", "runs")]
    page.evaluate("document.querySelector('#form').scrollIntoView({block: 'end'})")
    page.emulate_media(color_scheme="dark")
    shoot(page, phones[0])

    page.set_viewport_size({"width": 1280, "height": 800})
    page.locator("#gallery .frame").nth(6).click()
    page.click("#viewer button:text-is('Inpaint')")
    page.wait_for_selector("#mask")
    box = page.locator("#mask").bounding_box()
    assert box is not None
    page.fill("#brush-size", "6")
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.7 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.7 * box["height"], steps=9)
    page.mouse.up()
    page.fill("[name=prompt]", "red heart")
    page.fill("[name=number]", "4")
    submit(page)
    shoot(page, folder / "studio-edit.png")

    page.emulate_media(color_scheme="light")
    tab(page, "compare", guidance="", seed=5)
    page.select_option("[aria-label=Across]", "guidance")
    page.fill("[aria-label='Values of guidance']", "1, 2, 4, 8")
    page.select_option("[aria-label=Down]", "prompt")
    page.fill("[aria-label='Values of prompt']", "\n".join(PROMPTS[1:]))
    page.click("#submit")
    page.wait_for_selector("#comparison [data-name] >> nth=11")
    shoot(page, folder / "studio-compare.png")

    page.set_viewport_size({"width": 390, "height": 844})
    tab(page, "runs")
    page.fill("[name=name]", "digits-2")
    page.fill("[name=budget]", "20m")
    page.click(".training-form .primary")
    page.wait_for_selector(".training .curve")
    page.wait_for_timeout(30_000)
    shoot(page, phones[1])
    page.click(".training button:text-is('Stop')")
    images = [Image.open(path).convert("RGB") for path in phones]
    beside = Image.new("RGB", (2 * 390 + 20, 844), "white")
    for k, image in enumerate(images):
        beside.paste(image, (410 * k, 0))
    beside.quantize(256, dither=Image.Dither.NONE).save(folder / "studio-phone.png", optimize=True)
    for path in phones:
        path.unlink()


def main(address: str, folder: str) -> None:
    """Open the page, and take all screenshots."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        take(page, Path(folder))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
