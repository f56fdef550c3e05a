"""Providers as somebody else might write them: with the methods of the contract and without our base class."""


class AcmeAdapter:
    def __init__(self, speed: int = 1) -> None:
        self.speed = speed

    def get_name(self) -> str:
        return "acme"

    async def check_health(self) -> bool:
        return True


class BrokenAdapter(AcmeAdapter):
    def __init__(self) -> None:
        raise RuntimeError("a text with the secret")
