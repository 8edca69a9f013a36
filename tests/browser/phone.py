"""A payer's phone: what a person does with a page, and what they would notice is wrong with it."""

from playwright.async_api import ConsoleMessage, Locator, Page, Response

PAYMENT_BUTTON = "main button[type=submit]"


class Phone:
    """One tab of a small phone. Each page that it shows is checked as it comes."""

    def __init__(self, tab: Page, *, scripts: bool) -> None:
        self.tab = tab
        self.scripts = scripts
        self.complaints: list[str] = []
        tab.on("console", self._hear)
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def open(self, address: str) -> Response:
        """Go to a page."""
        response = await self.tab.goto(address)
        assert response is not None
        await self.check()
        return response

    async def press(self, name: str) -> None:
        """Press the button or follow the link with this name, and see where it leads."""
        button = self.tab.get_by_role("button", name=name)
        target = button if await button.count() else self.tab.get_by_role("link", name=name)
        async with self.tab.expect_navigation():
            await target.click()
        await self.check()

    async def pay(self, outcome: str = "approve", method: str | None = None, amount: str | None = None) -> None:
        """Fill the form in and send it; without scripts a typed amount is confirmed on a page of its own."""
        part = self.tab.get_by_role("radio", name="Una parte")
        if amount is not None and await part.count():
            await part.check()
        if amount is not None:
            await self.field("Valor que va a pagar").fill(amount)
        if method is not None:
            await self.tab.get_by_role("radio", name=method).check()
        await self.field("Resultado de la prueba").select_option(outcome)
        await self.send()
        if await self.page() == "confirmation":
            await self.send()

    async def send(self) -> None:
        """Press the button of the form."""
        async with self.tab.expect_navigation():
            await self.tab.locator(PAYMENT_BUTTON).click()
        await self.check()

    async def check(self) -> None:
        """Nothing on the page may need scrolling sideways."""
        width = await self.tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if width > 0:
            self.complaints.append(f"{self.tab.url} is {width} px too wide")

    async def page(self) -> str:
        """Which page this is."""
        return await self.tab.locator("main").get_attribute("data-page") or ""

    async def hear_from_bank(self) -> None:
        """Look for a bank's answer. With scripts the page does so by itself; without them too, but after a while."""
        if not self.scripts:
            await self.tab.get_by_role("link", name="Actualizar ahora").click()

    async def wait_for(self, page: str) -> None:
        """Wait until the tab shows this page by itself."""
        await self.tab.locator(f"main[data-page={page}]").wait_for(timeout=25_000)
        await self.check()

    async def words(self) -> str:
        """Everything the page says."""
        return " ".join((await self.tab.locator("body").inner_text()).split())

    async def title(self) -> str:
        """The page's heading."""
        return " ".join((await self.tab.get_by_role("heading", level=1).inner_text()).split())

    def field(self, label: str) -> Locator:
        """The form's field with this label."""
        return self.tab.get_by_label(label)

    def _hear(self, message: ConsoleMessage) -> None:
        # An error's status is what the test is about, and it looks at it itself.
        if "the server responded with a status of" not in message.text:
            self.complaints.append(message.text)
