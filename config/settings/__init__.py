"""base: everything the environment decides. dev, production and test differ from it in a few lines each."""
