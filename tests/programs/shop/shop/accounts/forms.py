"""The form by which somebody becomes a customer."""

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.utils import timezone

from shop.accounts.models import Customer


class SignUpForm(forms.Form):
    username = forms.CharField(max_length=60)
    email = forms.EmailField()
    first_name = forms.CharField(max_length=60)
    last_name = forms.CharField(max_length=60)
    password = forms.CharField(widget=forms.PasswordInput)
    password_again = forms.CharField(widget=forms.PasswordInput)

    def clean_username(self):
        name = self.cleaned_data["username"]
        if get_user_model().objects.filter(username=name).exists():
            raise forms.ValidationError("Somebody has this name already.")
        return name

    def clean_password(self):
        password = self.cleaned_data["password"]
        if len(password) < 8:
            raise forms.ValidationError("A password has eight characters or more.")
        validate_password(password)
        return password

    def clean(self):
        data = super().clean()
        if "password" in data and data["password"] != data.get("password_again"):
            self.add_error("password_again", "The passwords differ.")
        return data

    @transaction.atomic
    def save(self):
        data = self.cleaned_data
        user = get_user_model().objects.create_user(
            data["username"], data["email"], data["password"]
        )
        customer = Customer.objects.create(
            user=user,
            first_name=data["first_name"],
            last_name=data["last_name"],
            email=data["email"],
            joined=timezone.now().date(),
        )
        return user, customer
