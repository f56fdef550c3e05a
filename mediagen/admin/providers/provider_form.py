"""The form of a provider: a credential that goes in and never comes out, settings that the adapter accepts."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminURLFieldWidget
from django.utils.translation import gettext_lazy as _

from mediagen.admin.providers.model_input import model_input
from mediagen.admin.providers.option_fields import PREFIX as OPTION
from mediagen.admin.providers.option_fields import written
from mediagen.destinations import destination, elsewhere
from mediagen.engine.providers import entries
from mediagen.models import BUDGET_FIELDS, ProviderConfig
from mediagen.models.fields import PREFIX
from mediagen.providers.google_account import is_account
from mediagen.secrets import Secret


class ProviderConfigForm(forms.ModelForm):  # type: ignore[type-arg]
    """The admin adds a field for each option that the adapter declares (see `option_fields`). `options` as JSON stays
    beside them: what is changed in a field goes before what stands there."""

    new_credential = forms.CharField(
        label=_("New credential"),
        required=False,
        max_length=4096,
        # PasswordInput gives back nothing of what was typed, whatever becomes of the form.
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "class": "vTextField"}),
        help_text=_("Stored encrypted, and never shown again. Left empty: what is stored stays."),
    )
    remove_credential = forms.BooleanField(
        label=_("Remove the stored credential"),
        required=False,
        help_text=_("Then the environment's is used, if there is one."),
    )
    send_key_elsewhere = forms.BooleanField(
        label=_("Send the key to this address"),
        required=False,
        help_text=_(
            "Only for a base URL that is not the vendor's: whoever runs it can read and use the key. Your name and the "
            "time are kept. It ends when the address changes."
        ),
    )
    asked_by: Any = None
    """the user, when the page knows one"""
    adapter_now = ""
    """whose models and options are asked for"""

    # Said here because Django 5.2 warns of a URL field that does not name its scheme.
    base_url = forms.URLField(
        label=_("Base URL"),
        required=False,
        max_length=500,
        assume_scheme="https",
        widget=AdminURLFieldWidget,
        help_text=_("Empty: the vendor's own address. Another one needs a credential of its own."),
    )

    class Meta:
        model = ProviderConfig
        fields = (
            "name",
            "adapter",
            "enabled",
            "base_url",
            "model",
            "options",
            "timeout_s",
            "prices",
            "price_when_unknown",
            "dry_run",
            "after_unknown",
            "after_refusal",
            "max_concurrency",
            "rate_per_minute",
            *BUDGET_FIELDS,
        )
        widgets = {"options": forms.Textarea(attrs={"rows": 6, "cols": 60, "class": "mediagen-code"})}
        widgets["prices"] = widgets["options"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.asked_by is None or not self.asked_by.has_perm("mediagen.send_key_elsewhere"):
            del self.fields["send_key_elsewhere"]
        self.initial["send_key_elsewhere"] = entries.is_consented(self.instance)
        if "model" in self.fields and (widget := model_input(self.adapter_now, self.instance.model)) is not None:
            self.fields["model"].widget = widget
        for name in self.option_names:
            value = (self.instance.options or {}).get(name)
            self.initial[f"{OPTION}{name}"] = written(value)
        if isinstance(dry_run := self.fields.get("dry_run"), forms.NullBooleanField):
            dry_run.widget.choices = [
                ("unknown", _("as the site's settings say")),
                ("true", _("dry run: placeholders, no network")),
                ("false", _("live: may cost money")),
            ]

    @property
    def option_names(self) -> list[str]:
        """Options that have a field of their own."""
        return [name.removeprefix(OPTION) for name in self.fields if name.startswith(OPTION)]

    def clean_new_credential(self) -> Secret:
        """Wrapped at once, so that no later error can show it."""
        value: str = self.cleaned_data["new_credential"]
        if not is_account(value) and not all("!" <= char <= "~" for char in value):
            raise forms.ValidationError(
                _("It holds a blank or another character that no request header can carry. Copy it again.")
            )
        if value.startswith(PREFIX):
            raise forms.ValidationError(_("This is an encrypted value. Enter the credential as the service gave it."))
        return Secret(value)

    def clean_options(self) -> dict[str, Any]:
        return self._object("options", _('Write an object: {"option": value}.'))

    def clean_prices(self) -> dict[str, Any]:
        return self._object("prices", _('Write an object: {"model": "0.03"}.'))

    def _object(self, name: str, hint: Any) -> dict[str, Any]:
        value = self.cleaned_data[name]
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise forms.ValidationError(hint)
        return value

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "options" in data:
            data["options"] = self._with_fields(data)
        self._check_credential(data)
        if data.get("adapter"):
            self._check_settings(data)
        return data

    def _with_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        """The options, with what was changed in their own fields. A field that was not sent changes nothing."""
        options = dict(data["options"] if "options" in self.data else self.instance.options or {})
        for name in self.option_names:
            field = f"{OPTION}{name}"
            if field not in self.data or field not in self.changed_data or field not in data:
                continue
            options.pop(name, None)
            if data[field] not in (None, ""):
                options[name] = data[field]
        return options

    def _check_credential(self, data: dict[str, Any]) -> None:
        new, remove = data.get("new_credential"), data.get("remove_credential")
        if new and remove:
            self.add_error("remove_credential", _("Either enter a new credential or remove the stored one."))
        adapter = data.get("adapter")
        if new and adapter and is_account(new.reveal()) and not entries.takes_account(adapter):
            self.add_error("new_credential", _("This service takes a key, and no service account's file."))
        if new and adapter and not entries.takes_credential(adapter):
            self.add_error(
                "new_credential",
                _("This adapter takes its settings from MEDIAGEN['PROVIDERS'] only. Set the credential there."),
            )
        if not new and adapter and not self._is_allowed(data):
            # Or else a changed address would be enough to be sent a key that nobody may read.
            self._check_destination(data, keeps=bool(self.instance.credentials) and not remove)

    def _check_destination(self, data: dict[str, Any], *, keeps: bool) -> None:
        """Whether the key that is not typed now may go where the form leads. `instance` still is as it was."""
        trial = self._trial(data)
        if keeps:
            trial.credentials = self.instance.credentials
            trial.credentials_for = self.instance.credentials_for or destination(self.instance)
        if entries.credential_state(trial).source != "withheld":
            return
        if keeps:
            text = _("The stored credential was given to another service or address. Enter it again, or remove it.")
            self.add_error("new_credential", text)
        else:
            place = elsewhere(trial)
            text = _("The key from the environment or the settings is not sent to %(place)s. Enter one for it.")
            self.add_error("new_credential", text % {"place": place})
            if "send_key_elsewhere" in self.fields:
                self.add_error("send_key_elsewhere", _("Or tick this, when that address may have it."))

    def _is_allowed(self, data: dict[str, Any]) -> bool:
        """Whether there is a consent to where the form leads: one that is given now, or one that stays."""
        trial = self._trial(data)
        if "send_key_elsewhere" in self.fields:
            return bool(data.get("send_key_elsewhere") and elsewhere(trial))
        trial.key_consent = self.instance.key_consent
        return entries.is_consented(trial)

    def _trial(self, data: dict[str, Any]) -> ProviderConfig:
        """An entry as the form describes it, without a key."""
        names = {"name", "adapter", "after_unknown", "after_refusal", *entries.PARTS}
        trial = ProviderConfig(**{name: data[name] for name in names & data.keys()})
        trial.name = trial.name or trial.adapter
        return trial

    def _check_settings(self, data: dict[str, Any]) -> None:
        """Whether an adapter can be built from them; what it refuses goes to the field at fault."""
        trial = self._trial(data)
        # Where keys may go is another question: without one nothing is refused for it.
        trial.key_consent = destination(trial)
        for field, problem in entries.problems(trial).items():
            self.add_error(self._field_at_fault(field, problem), problem)

    def _field_at_fault(self, field: str, problem: str) -> str:
        """An option's own field, when it was changed there."""
        named = re.search(r"\boption (\w+)", problem) if field == "options" else None
        own = f"{OPTION}{named[1]}" if named else ""
        return own if own in self.changed_data and own in self.data else field

    def save(self, commit: bool = True) -> ProviderConfig:
        if new := self.cleaned_data.get("new_credential"):
            entries.keep_key(self.instance, new)
        elif self.cleaned_data.get("remove_credential"):
            entries.keep_key(self.instance, "")
        allowed = self._is_allowed(self.cleaned_data)
        self.consent_changed = not entries.is_consented(self.instance) if allowed else bool(self.instance.key_consent)
        if self.consent_changed and allowed:
            entries.consent(self.instance, self.asked_by)
        elif self.consent_changed:
            entries.end_consent(self.instance)
        config: ProviderConfig = super().save(commit)
        return config

    @property
    def changed_columns(self) -> list[str]:
        """Columns of the row that this form has changed, once it was saved."""
        own = {"new_credential", "remove_credential"}
        columns = {name for name in self.changed_data if name not in {*own, "send_key_elsewhere"}}
        if self.consent_changed:
            columns |= {"key_consent", "key_consent_by", "key_consent_at"}
        options = {name for name in columns if name.startswith(OPTION)}
        columns = (columns - options) | ({"options"} if options else set())
        return sorted(columns | ({"credentials", "credentials_for"} if own & set(self.changed_data) else set()))


class SwitchForm(forms.ModelForm):  # type: ignore[type-arg]
    """One row of the list."""

    class Meta:
        model = ProviderConfig
        fields = ("enabled",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The column's heading is no label to a screen reader.
        self.fields["enabled"].widget.attrs["aria-label"] = _("%(name)s enabled") % {"name": self.instance.name}
