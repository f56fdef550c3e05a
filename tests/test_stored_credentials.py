"""Credentials at rest: cipher text in the column, wrapped in memory, readable as long as one key fits."""

import pytest
from django.core import serializers
from django.db import connection

from mediagen.errors import CredentialsUnreadable
from mediagen.models import ProviderConfig, StoredCredential
from mediagen.secrets import Secret
from tests.factories import ProviderConfigFactory

pytestmark = pytest.mark.django_db


def test_a_credential_is_encrypted_in_the_column_and_wrapped_in_memory():
    config = ProviderConfigFactory(name="mine", credentials="a-plain-credential")

    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM mediagen_providerconfig WHERE name = 'mine'")
        (column,) = cursor.fetchone()
    config.refresh_from_db()
    assert column.startswith("fernet1:")
    assert "a-plain-credential" not in column
    assert "a-plain-credential" not in repr(config.__dict__) + repr(config.credentials) + str(config.credentials)
    assert config.credentials.reveal().reveal() == "a-plain-credential"


@pytest.mark.parametrize("value", ["a-plain-credential", Secret("a-plain-credential"), " a-plain-credential\n"])
def test_it_may_be_given_in_any_form(value):
    assert ProviderConfigFactory(credentials=value).credentials.reveal().reveal() == "a-plain-credential"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "not set"),
        ("short", "set"),
        ("long-enough-1234", "set, ends in 1234"),
        ("fernet1:x", "cannot be decrypted"),
    ],
)
def test_it_is_described_without_being_shown(value, words):
    credential = StoredCredential.of(value)

    assert credential.describe() == words
    assert bool(credential) is (value != "")


def test_keys_are_changed_without_losing_a_credential(settings):
    settings.MEDIAGEN = {"ENCRYPTION_KEYS": ["old"]}
    config = ProviderConfigFactory(credentials="a-plain-credential")

    settings.MEDIAGEN = {"ENCRYPTION_KEYS": ["new", "old"]}
    config.refresh_from_db()
    assert config.credentials.reveal().reveal() == "a-plain-credential"
    config.credentials = config.credentials.reveal()
    config.save()

    settings.MEDIAGEN = {"ENCRYPTION_KEYS": ["new"]}
    config.refresh_from_db()
    assert config.credentials.reveal().reveal() == "a-plain-credential"

    settings.MEDIAGEN = {"ENCRYPTION_KEYS": ["a third"]}
    with pytest.raises(CredentialsUnreadable, match="Enter it again"):
        config.credentials.reveal()


def test_without_keys_of_its_own_a_site_uses_its_secret_keys(settings):
    config = ProviderConfigFactory(credentials="a-plain-credential")

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a-new-one" * 6, [settings.SECRET_KEY]
    assert config.credentials.reveal().reveal() == "a-plain-credential"

    settings.SECRET_KEY_FALLBACKS = []
    assert config.credentials.describe() == "cannot be decrypted"


def test_a_deferred_credential_is_read_when_it_is_wanted(django_assert_num_queries):
    ProviderConfigFactory(name="mine", credentials="a-plain-credential")
    config = ProviderConfig.objects.defer("credentials").get(name="mine")

    with django_assert_num_queries(1):
        assert config.credentials.reveal().reveal() == "a-plain-credential"


def test_a_serialized_entry_has_the_cipher_text_and_comes_back():
    config = ProviderConfigFactory(credentials="a-plain-credential")

    text = serializers.serialize("json", [config])
    (back,) = serializers.deserialize("json", text)

    assert "a-plain-credential" not in text
    assert back.object.credentials == config.credentials
    assert hash(back.object.credentials) == hash(config.credentials)
