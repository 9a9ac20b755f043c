# Reference values for tests/test_factor.py, tests/test_validity.py and the coefficients of tests/test_reliability.py.
# Run in this directory: Rscript measurement_scales.R. Data: the files of reliability.R and sem_reference.R in this folder.
suppressMessages({library(lavaan); library(psych)})
options(warn = 1, mc.cores = 1)
bfi <- read.csv("reliability_bfi.csv")
attitude <- read.csv("reliability_attitude.csv")
hs <- read.csv("sem_hs.csv")
save <- function(rows, name) {
  table <- if (is.data.frame(rows)) rows else do.call(rbind, rows)
  write.csv(table, paste0("measurement_", name, ".csv"), row.names = FALSE, na = "")
}
A <- paste0("A", 2:5); N <- paste0("N", 1:5); X <- paste0("x", 1:9)
pasteur <- hs[hs$school == "Pasteur", ]

# ---- omega and ordinal alpha ----------------------------------------------------------------------------------------
# A uniqueness is at least .005 of the variance of its item, as in factanal. Without Heywood case Gauss-Newton, which ends
# nearer to the solution than the default; it knows no bounds.
sets <- list(agreeable = bfi[A], neuroticism = bfi[N], attitude = attitude, visual = hs[X[1:3]], textual = hs[X[4:6]],
             all = hs[X], heywood = pasteur[c("x4", "x5", "x7", "x8")])
omega_row <- function(set) {
  heywood <- set == "heywood"
  used <- na.omit(sets[[set]]); k <- ncol(used)
  least <- .005 * diag(cov(used)) * (nrow(used) - 1) / nrow(used)
  numbers <- function(letter) paste0(letter, seq_len(k))
  text <- paste(paste("f =~", paste0(numbers("l"), "*", names(used), collapse = " + ")),
    paste0(names(used), " ~~ ", if (heywood) paste0("lower(", sprintf("%.16g", least), ")*", names(used), " + "),
           numbers("u"), "*", names(used), collapse = "\n"),
    paste0("omega := (", paste(numbers("l"), collapse = " + "), ")^2 / ((", paste(numbers("l"), collapse = " + "),
           ")^2 + ", paste(numbers("u"), collapse = " + "), ")"), sep = "\n")
  fit <- if (heywood) cfa(text, used, std.lv = TRUE)
         else cfa(text, used, std.lv = TRUE, optim.method = "GN", optim.gn.tol.x = 1e-10)
  stopifnot(lavInspect(fit, "converged"))
  pe <- parameterEstimates(fit)
  se <- pe$se[pe$lhs == "omega"]; omega <- as.numeric(semTools::compRelSEM(fit, obs.var = FALSE))
  u <- pe$est[pe$op == "~~" & pe$lhs != "f"] / (least / .005)
  wald <- function(level) plogis(qlogis(omega) + c(-1, 1) * qnorm((1 + level) / 2) * se / (omega * (1 - omega)))
  ci <- if (!heywood) c(wald(.95), wald(.9)) else rep(NA, 4)
  data.frame(set = set, n_items = k, n_used = nrow(used), omega_implied = omega, ci_low = ci[1], ci_high = ci[2],
             ci_low_90 = ci[3], ci_high_90 = ci[4],
             omega_observed = as.numeric(semTools::compRelSEM(fit, obs.var = TRUE)),
             heywood = paste(names(used)[u < .0051], collapse = ", "))
}
save(lapply(names(sets), omega_row), "omega")

ordinal_row <- function(set) {
  used <- na.omit(sets[[set]])
  r <- unclass(lavCor(used, ordered = names(used)))
  data.frame(set = set, n_used = nrow(used), ordinal_alpha = psych::alpha(r)$total$raw_alpha)
}
save(lapply(c("agreeable", "neuroticism"), ordinal_row), "ordinal_alpha")

# ---- exploratory factors --------------------------------------------------------------------------------------------
# factanal, searched tightly; psych::fa, whose search is its default, must agree with it. Rotations: stats::varimax with
# Kaiser's normalisation, and lavaan's oblimin (psych's needs the package GPArotation).
efa_data <- list(hs = hs[X], bfi = na.omit(bfi[c(A, N)]), heywood = pasteur[c("x4", "x5", "x7", "x8")])
efas <- list(c("hs", 3), c("hs", 2), c("hs", 1), c("bfi", 2), c("heywood", 1))
rotated <- function(loadings, rotation) {
  k <- ncol(loadings)
  if (k == 1 || rotation == "none") return(list(loadings = loadings, phi = diag(k)))
  if (rotation == "varimax") return(list(loadings = unclass(varimax(loadings, eps = 1e-15)$loadings), phi = diag(k)))
  set.seed(1)
  r <- lavaan:::lav_matrix_rotate(A = loadings, orthogonal = FALSE, method = "oblimin", row.weights = "none",
    method.args = list(oblimin.gamma = 0), rstarts = 20, gpa.tol = 1e-6, order.lv.by = "none", reflect = FALSE)
  list(loadings = r$LAMBDA, phi = r$PHI)
}
efa_of <- function(which, rotation) {
  name <- which[1]; k <- as.integer(which[2]); used <- efa_data[[name]]
  f <- factanal(used, k, rotation = "none", control = list(opt = list(factr = 1, maxit = 5000)))
  other <- suppressWarnings(psych::fa(used, k, fm = "ml", rotate = "none"))
  stopifnot(abs(other$uniquenesses - f$uniquenesses) < 2e-4)
  if (f$dof > 0) stopifnot(abs(other$STATISTIC - f$STATISTIC) < 1e-5 * f$STATISTIC, other$dof == f$dof)
  r <- rotated(unclass(f$loadings)[, , drop = FALSE], rotation)
  explained <- diag(r$phi %*% crossprod(r$loadings))
  at <- order(-explained)
  sign <- ifelse(colSums(r$loadings)[at] < 0, -1, 1)
  phi <- (r$phi[at, at] * outer(sign, sign)); loadings <- sweep(r$loadings[, at, drop = FALSE], 2, sign, "*")
  list(id = data.frame(data = name, n_factors = k, rotation = rotation), f = f, items = names(used), phi = as.matrix(phi),
       loadings = loadings, explained = explained[at])
}
results <- unlist(lapply(efas, function(w) lapply(c("none", "varimax", "oblimin"), function(r) efa_of(w, r))),
                  recursive = FALSE)
save(lapply(results, function(r) { k <- ncol(r$loadings); p <- length(r$items)
  data.frame(r$id, item = rep(r$items, each = k), factor = rep(paste0("F", 1:k), p), loading = c(t(r$loadings)),
             communality = rep(1 - r$f$uniquenesses, each = k), uniqueness = rep(r$f$uniquenesses, each = k)) }),
  "efa_loadings")
save(lapply(results, function(r) { k <- ncol(r$loadings); if (k == 1) return(NULL)
  pairs <- combn(k, 2)
  data.frame(r$id, first = paste0("F", pairs[1, ]), second = paste0("F", pairs[2, ]), correlation = r$phi[t(pairs)]) }),
  "efa_correlations")
save(lapply(results, function(r) data.frame(r$id, factor = paste0("F", seq_along(r$explained)), ss_loadings = r$explained,
  proportion = r$explained / length(r$items), cumulative = cumsum(r$explained) / length(r$items))), "efa_variance")
# omega of the sum of the items in their own units, all factors counted
save(lapply(results, function(r) { sd <- sapply(efa_data[[r$id$data]], sd); common <- sum(colSums(sd * r$f$loadings)^2)
  data.frame(r$id, n_used = r$f$n.obs, chi_square = r$f$STATISTIC, df = r$f$dof, p = r$f$PVAL,
    omega_implied = common / (common + sum(sd^2 * r$f$uniquenesses)),
    omega_observed = common / var(rowSums(efa_data[[r$id$data]]))) }), "efa_fit")

# ---- parallel analysis ----------------------------------------------------------------------------------------------
# psych draws the random samples; the quantiles are taken from its draws, for it gives only their means.
parallel_of <- function(name, draws = 4000) {
  used <- efa_data[[name]]; p <- ncol(used)
  set.seed(21)
  capture.output(result <- psych::fa.parallel(cor(used), n.obs = nrow(used), n.iter = draws, SMC = TRUE, fa = "both",
                                              plot = FALSE))
  rows <- function(reduced, columns, observed, retained) {
    v <- result$values[, columns]
    data.frame(data = name, reduced = reduced, component = 1:p, eigenvalue = observed, mean = colMeans(v),
      mean_se = apply(v, 2, sd) / sqrt(draws), q95 = apply(v, 2, quantile, .95), q50 = apply(v, 2, quantile, .5),
      n_retained = retained)
  }
  rbind(rows(FALSE, 1:p, result$pc.values, result$ncomp), rows(TRUE, p + 1:p, result$fa.values, result$nfact))
}
save(lapply(c("hs", "bfi"), parallel_of), "parallel")

# ---- latent variables of fitted models ------------------------------------------------------------------------------
three <- "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
models <- list(
  hs = cfa(three, hs),
  residuals = cfa(paste(three, "x1 ~~ x2\nx7 ~~ x9\nx3 ~~ x9", sep = "\n"), hs),
  crossed = cfa(paste(three, "visual =~ x9", sep = "\n"), hs),
  paths = sem(paste(three, "textual ~ visual + ageyr\nspeed ~ textual", sep = "\n"), hs),
  second_order = cfa(paste(three, "g =~ visual + textual + speed", sep = "\n"), hs),
  # (a single indicator stands last: semTools 0.5-6 takes the wrong variances for those after it)
  single = cfa("visual =~ x1 + x2 + x3\nspeed =~ x7 + x8 + x9\ntextual =~ x4", hs),
  groups = cfa(three, hs, group = "school"),
  ordered = cfa("a =~ A2 + A3 + A4 + A5\nn =~ N1 + N2 + N3 + N4 + N5", na.omit(bfi[c(A, N)]), ordered = TRUE))
as_list <- function(x, labels) if (length(labels)) x else list(x)
estimates <- lapply(names(models), function(name) {
  pe <- parameterEstimates(models[[name]], standardized = TRUE)
  group <- if (is.null(pe$group)) "" else lavInspect(models[[name]], "group.label")[pe$group]
  rows <- pe$op %in% c("=~", "~", "~~")
  data.frame(model = name, group = group, lhs = pe$lhs, op = pe$op, rhs = pe$rhs, estimate = pe$est, std_all = pe$std.all)[rows, ]
})
save(estimates, "estimates")
latent_rows <- function(name) {
  fit <- models[[name]]; labels <- lavInspect(fit, "group.label")
  std <- as_list(lavInspect(fit, "std"), labels); cors <- as_list(lavInspect(fit, "cor.lv"), labels)
  value <- function(x, g, latent) if (is.data.frame(x)) x[[latent]][g] else unclass(x)[[latent]]
  raw <- semTools::compRelSEM(fit, obs.var = FALSE, ord.scale = FALSE)
  ave <- semTools::AVE(fit, obs.var = FALSE)
  do.call(rbind, lapply(seq_along(std), function(g) {
    L <- std[[g]]$lambda
    measured <- intersect(colnames(L)[colSums(L != 0) > 0], lavNames(fit, "lv"))
    do.call(rbind, lapply(measured[colSums(L[, measured, drop = FALSE] != 0) > 1], function(latent) {
      own <- L[, latent] != 0; l <- L[own, latent]
      crossed <- any(rowSums(L[own, , drop = FALSE] != 0) > 1)
      r <- abs(cors[[g]][latent, setdiff(measured, latent)])
      data.frame(model = name, group = if (length(labels)) labels[g] else "", latent = latent, n_items = sum(own),
        cross_loaded = crossed,
        composite_reliability_std = if (crossed) NA else sum(l)^2 / (sum(l)^2 + sum(1 - l^2)),
        composite_reliability_raw = value(raw, g, latent), ave_std = if (crossed) NA else mean(l^2),
        ave_raw = value(ave, g, latent), sqrt_ave = if (crossed) NA else sqrt(mean(l^2)),
        closest = setdiff(measured, latent)[which.max(r)], max_correlation = max(r),
        fornell_larcker = if (crossed) NA else sqrt(mean(l^2)) > max(r))
    }))
  }))
}
save(lapply(names(models), latent_rows), "latents")

# ---- heterotrait-monotrait ratios -----------------------------------------------------------------------------------
mixed_bfi <- "calm =~ A2 + A3\nkind =~ A4 + A5\nworried =~ N1 + N2 + N3\nlow =~ N4 + N5"
htmt_rows <- function(name, model, data, ordered = NULL, absolute = TRUE) {
  one <- function(second) unclass(semTools::htmt(model, data, ordered = ordered, absolute = absolute, htmt2 = second))
  first <- one(FALSE); second <- one(TRUE); pairs <- t(combn(rownames(first), 2))
  items <- lavNames(model, "ov")
  data.frame(case = name, first = pairs[, 1], second = pairs[, 2], n = sum(complete.cases(data[items])), htmt = first[pairs],
             htmt2 = second[pairs])
}
save(list(htmt_rows("hs", three, hs), htmt_rows("bfi", mixed_bfi, bfi),
          htmt_rows("signed", mixed_bfi, bfi, absolute = FALSE),
          htmt_rows("polychoric", mixed_bfi, bfi, ordered = c(A, N))), "htmt")

writeLines(sub(" /.*/", " ", capture.output(sessionInfo())), "measurement_scales_sessioninfo.txt")
