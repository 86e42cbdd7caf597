"""Pages of orders."""

import hashlib
import logging

from django.db.models import Count
from django.http import JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django.views.generic import ListView

from shop.accounts.models import Customer
from shop.markers import while_streaming
from shop.orders.forms import InvoiceForm, OrderForm, PaymentForm
from shop.orders.models import Order
from shop.orders.ordering import CannotOrder, pay, place_order
from shop.orders.shipping import ShippingError, rate_of
from shop.orders.tasks import send_receipt

logger = logging.getLogger(__name__)


class OrderList(ListView):
    """The page of the benchmarks: 50 rows, one join, a template, 150 calls of ours."""

    template_name = "orders/list.html"
    context_object_name = "orders"

    def get_queryset(self):
        return Order.objects.with_customer().recent()[:50]


def order_page(request, pk):
    """An order with its lines, in a few statements."""
    order = get_object_or_404(
        Order.objects.with_customer().select_related("address__country", "coupon"),
        pk=pk,
    )
    lines = order.lines.select_related("product").order_by("pk")
    return render(
        request,
        "orders/order.html",
        {"order": order, "lines": lines, "payments": order.payments.all()},
    )


def customers_report(request):
    """Asks the database for each customer again: the N+1 that everybody has once."""
    rows = []
    for customer in Customer.objects.order_by("pk")[:20]:
        latest = customer.orders.recent().first()
        rows.append((customer, latest))
    return render(request, "orders/customers.html", {"rows": rows})


def status_report(request):
    """The same question, asked once, as JSON."""
    counted = Order.objects.values("status").annotate(count=Count("pk"))
    return JsonResponse({row["status"]: row["count"] for row in counted})


def csv_lines():
    """A line an order, fetched in portions."""
    orders = Order.objects.with_customer().order_by("pk")
    for order in orders.iterator(chunk_size=100):
        yield f"{order.number()};{order.customer.full_name};{order.total}\n"


def export(request):
    """All orders, streamed."""
    return StreamingHttpResponse(while_streaming(csv_lines()), content_type="text/csv")


def new_order(request):
    """Order something: all of it or, when something is missing, nothing."""
    form = OrderForm(request.POST or None)
    problem = ""
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        customer = get_object_or_404(Customer, email=data["email"])
        wanted = [(data["sku"], data["quantity"])]
        try:
            order = place_order(customer, wanted, data["coupon"])
        except CannotOrder as error:
            problem = str(error)
            logger.info("cannot order: %s", problem)
        else:
            return redirect("order", order.pk)
    status = 400 if request.method == "POST" else 200
    return render(
        request, "orders/new.html", {"form": form, "problem": problem}, status=status
    )


@csrf_exempt
@require_POST
def pay_order(request, pk):
    """Pay: a transaction, signals, the cache, and a mail that a worker sends."""
    form = PaymentForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    order = get_object_or_404(Order, pk=pk)
    payment = pay(order, form.cleaned_data["card_number"])
    task = send_receipt.delay(order.pk)
    return JsonResponse({"paid": str(payment.amount), "task": task.id})


@csrf_exempt
@require_POST
def upload_invoice(request):
    """A file for an order."""
    form = InvoiceForm(request.POST, request.FILES)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    digest = hashlib.sha256()
    for chunk in form.cleaned_data["file"].chunks():
        digest.update(chunk)
    invoice = form.save(digest.hexdigest())
    return JsonResponse({"size": invoice.size, "checksum": invoice.checksum})


def shipping_page(request, pk):
    """What it costs to send an order: another service knows."""
    order = get_object_or_404(Order, pk=pk)
    kind = request.GET.get("kind", "parcel")
    try:
        rate = rate_of(kind)
    except ShippingError as error:
        logger.warning("shipping: %s", error)
        return JsonResponse({"error": str(error)}, status=502)
    return JsonResponse({"order": order.number(), "kind": kind, "rate": str(rate)})
