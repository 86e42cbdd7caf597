"""Log in, sign up, and the page of somebody who is logged in."""

from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render

from shop.accounts.forms import SignUpForm
from shop.accounts.models import Customer


def sign_up(request):
    """A form with a password; who fills it in is logged in."""
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user, _ = form.save()
        login(request, user)
        return redirect("profile")
    status = 400 if request.method == "POST" else 200
    return render(request, "accounts/sign_up.html", {"form": form}, status=status)


@login_required
def profile(request):
    """Who I am here."""
    customer = Customer.objects.filter(user=request.user).first()
    orders = customer.orders.recent()[:5] if customer is not None else []
    return render(
        request, "accounts/profile.html", {"customer": customer, "orders": orders}
    )
