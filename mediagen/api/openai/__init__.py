"""A door in the shape of OpenAI's images API, so that its SDKs and programs made for it get our chain."""
